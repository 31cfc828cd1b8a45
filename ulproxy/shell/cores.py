"""How many processors this process may use: of those that the machine has, by affinity and by quota."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

_ROOT: Final = Path("/")


def cores(root: Path = _ROOT) -> int:
    """At least one, rounded up; one where the system cannot say. `root` is where /proc and /sys are."""
    affinity = getattr(os, "sched_getaffinity", None)
    if affinity is None:
        return 1
    return max(1, math.ceil(min([len(affinity(0)), *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Those of the process's control groups and of the groups around them, in processors."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:  # cgroups(7): hierarchy, controllers, path in it
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _found(mounts, path, "cpu.max", "")
        elif "cpu" in controllers.split(","):
            yield from _found(mounts / controllers, path, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _found(mount: Path, path: str, quota: str, period: str) -> Iterator[float]:
    """By the files of these names; cpu.max has the period behind the quota.

    A container may see its own group as the root, under the path that the host knows it by.
    """
    group = PurePosixPath(path.lstrip("/"))
    for one in (group, *group.parents):
        with suppress(OSError, ValueError, ZeroDivisionError):  # none, or "max"
            said = (mount / one / quota).read_text()
            if period:
                said += (mount / one / period).read_text()
            most, each = map(float, said.split())
            if most > 0:  # -1 is none
                yield most / each
