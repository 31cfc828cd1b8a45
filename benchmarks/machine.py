"""Where and of what the figures were taken."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

from benchmarks.suite import ROOT


def machine() -> dict[str, object]:
    """For the JSON file. Programs that are missing have no version."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    changed = _says("git", "-C", str(ROOT), "status", "--short", "--", "ulproxy")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _says("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "uncommitted": changed.splitlines(),
        "cpu": next(iter(names), platform.machine()),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],  # of the minute before: others at work spoil wall times
        "kernel": platform.release(),
        "python": platform.python_version(),
        "dcmtk": _says("storescu", "--version").partition("\n")[0].strip("$ "),
        "haproxy": _says("/usr/sbin/haproxy", "-v").partition("\n")[0],
        "nginx": _says("/usr/sbin/nginx", "-v"),
        "orthanc": _says("/usr/sbin/Orthanc", "--version").partition("\n")[0],
    }


def _says(*command: str) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (ended.stdout or ended.stderr).strip()
