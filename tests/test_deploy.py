"""deploy/ and the Dockerfile name what there is, as far as that can be told without running them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
import urllib.request
from typing import Any

import pytest
import yaml

from tests.end_to_end.working import working
from tests.sources import ROOT
from ulproxy.cli import main
from ulproxy.policy.config import parse
from ulproxy.relay.tally import Outcome, Refusal
from ulproxy.watch.metrics import FAMILIES, PREFIX

DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OURS = {
    f"{PREFIX}{name}{suffix}"
    for name, family in FAMILIES.items()
    for suffix in SUFFIXES[family.kind]
}
OF_PROCESSES = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
# What an expression has besides metrics and labels.
FUNCTIONS = {"histogram_quantile", "increase", "label_values", "rate", "sum", "topk"}
WORDS = {"and", "by", "le", "unless", "up"}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "dashboard.json").read_text())
    return found


def expressions() -> list[str]:
    board = dashboard()
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = [one["query"]["query"] for one in board["templating"]["list"][1:]]
    return [rule["expr"] for rule in alerts()] + shown + asked


def metrics(expression: str) -> set[str]:
    """Names of metrics: neither functions, nor labels, nor what stands in quotes."""
    bare = re.sub(r'"[^"]*"', "", expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*(?=[,}])", bare))
    for listed in re.findall(r"\bby \(([^)]*)\)", bare):
        labels |= set(re.split(r", *", listed))
    words = set(re.findall(r"(?<![\w$.])[a-z_]\w+", bare)) - labels - FUNCTIONS - WORDS
    return words - {"instance", "job"}


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_is_one_that_is_exported(expression):
    assert metrics(expression) <= OURS | OF_PROCESSES
    assert metrics(expression) or expression.startswith("up{")
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


@pytest.mark.parametrize("expression", expressions())
def test_every_label_is_one_that_the_metric_has(expression):
    for name, inside in re.findall(r"(ulproxy_\w+)\{([^}]*)\}", expression):
        stem = name.removeprefix(PREFIX)
        family = next(
            one
            for key, one in FAMILIES.items()
            if stem in {key + suffix for suffix in SUFFIXES[one.kind]}
        )
        labels = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", inside))
        assert labels <= {*family.labels, "instance", "job"}, name


@pytest.mark.parametrize("workers", [1, 2])
def test_a_relay_that_runs_exports_them(tmp_path, workers):
    tables: dict[str, Any] = {"metrics": {"bind": "127.0.0.1:0"}}
    with working(tmp_path, workers=workers, **tables) as running:
        address = running.says("metrics are served")[0]["address"]
        with running.associated() as pair:
            pair.works()
            pair.release()
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
            page = answer.read().decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    exported = {name for name, kind in kinds.items() if kind != "histogram"}
    for name in kinds.keys() - exported:
        exported |= {f"{name}{suffix}" for suffix in SUFFIXES["histogram"]}
    assert set().union(*map(metrics, expressions())) <= exported


def test_values_that_the_expressions_look_for_exist():
    known = {one.value for one in (*Outcome, *Refusal)} | {"done", "refused", "callee", "inbound"}
    known |= {"onward", "store", "ulproxy", "$instance", "ae_.*"}
    for expression in expressions():
        for value in re.findall(r'"([^"]*)"', expression):
            assert set(value.split("|")) <= known, expression


def test_metrics_are_found_in_an_expression():
    found = metrics(
        'sum by (ae, le) (rate(a_total{role="x_y",outcome!="b"}[5m])) > 3 and c_open == 0'
    )
    assert found == {"a_total", "c_open"}


def test_alerts_say_how_bad_it_is_and_what_it_is():
    assert len(alerts()) > 10
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def test_panels_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


# systemd


def unit(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_service_calls_commands_and_options_that_there_are():
    service = unit("ulproxy.service")
    for line in service["ExecStart"] + service["ExecStartPre"]:
        program, command, _config, *options = line.split()
        assert program == "/opt/ulproxy/bin/ulproxy"
        known = {name for one in main.commands[command].params for name in one.opts}
        assert {option for option in options if option.startswith("--")} <= known
    assert "ulproxy" in PROJECT["scripts"]
    assert service["Type"] == ["notify"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    drain = float(service["ExecStart"][0].partition("--drain ")[2].split()[0])
    assert float(service["TimeoutStopSec"][0]) > drain + 15  # shell/workers.py: GRACE


def test_the_service_may_do_nothing_that_it_need_not():
    service = unit("ulproxy.service")
    wanted = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
        "MemoryDenyWriteExecute": "yes",
        "CapabilityBoundingSet": "",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
        "User": "ulproxy",
        "StateDirectory": "ulproxy",
        "RuntimeDirectory": "ulproxy",
    }
    assert {key: service[key] for key in wanted} == {key: [one] for key, one in wanted.items()}
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged"]


def test_the_socket_is_that_of_a_listener():
    text = (DEPLOY / "ulproxy-inside.socket").read_text()
    example = "\n".join(line.removeprefix("#   ") for line in text.splitlines() if "#   " in line)
    (listener,) = parse(f'[relay]\ntitle = "A"\n{example}\n').listeners
    socket = unit("ulproxy-inside.socket")
    assert socket["ListenStream"] == [str(listener.bind)]
    assert socket["FileDescriptorName"] == [listener.network]
    assert socket["Service"] == ["ulproxy.service"]
    assert (DEPLOY / socket["Service"][0]).is_file()


def test_systemd_has_nothing_against_the_units(tmp_path):
    """The program is another one, that exists."""
    analyze = shutil.which("systemd-analyze")
    assert analyze is not None, "make peers installs it"
    for path in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.socket")):
        text = path.read_text().replace("/opt/ulproxy/bin/ulproxy", "/bin/true")
        (tmp_path / path.name).write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        [analyze, "verify", *units], capture_output=True, text=True, check=False, timeout=60
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "ulproxy" in line]
    assert ours == []
    assert done.returncode == 0


# The image


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_the_image_is_of_a_python_that_the_project_is_for():
    froms = [text for name, text in instructions() if name == "FROM"]
    versions = {re.match(r"python:(\d+\.\d+)-slim", text)[1] for text in froms}  # type: ignore[index]
    assert len(froms) == 2
    assert {f">={version}" for version in versions} == {PROJECT["requires-python"]}


def test_the_image_is_built_from_files_that_there_are_and_that_are_let_in():
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {
        source
        for name, text in instructions()
        if name == "COPY" and not text.startswith("--from")
        for source in text.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "ulproxy"}
    assert copied == needed


def test_the_image_runs_without_rights_and_says_whether_it_is_well():
    found = dict(instructions())
    assert found["USER"].split(":")[0].isdecimal()
    assert found["USER"].split(":")[0] != "0"
    assert "/healthz" in found["HEALTHCHECK"]
    assert json.loads(found["ENTRYPOINT"]) == ["ulproxy"]
    command, _config, *options = json.loads(found["CMD"])
    known = {name for one in main.commands[command].params for name in one.opts}
    assert {one for one in options if one.startswith("--")} <= known


def test_the_health_check_goes_by_the_status():
    check = dict(instructions())["HEALTHCHECK"]
    code = json.loads(check[check.index("[") :])
    assert code[:2] == ["python", "-c"]
    compile(code[2], "HEALTHCHECK", "exec")
