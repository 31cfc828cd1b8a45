"""The demonstration from start to end: devices, relays, steps, table; and that nothing is left of it."""

import sys
import tempfile
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from ulproxy.demo import config, report
from ulproxy.demo.pacs import Pacs
from ulproxy.demo.processes import Relay, RelayError, Signals, Stopped, choose_ports
from ulproxy.demo.sending import files_as_they_are
from ulproxy.demo.station import Target, Workstation
from ulproxy.demo.steps import STEPS, Stage, run


def show(console: Console, *, once: bool) -> int:
    """Run it; 0 when every step is ok, 1 otherwise. Without `once`, stay until Ctrl-C after them."""
    signals = Signals()
    code = 1
    try:
        with ExitStack() as stack:
            stack.enter_context(signals.installed())
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module="pydicom")  # a newcomer's own odd files
            stack.enter_context(files_as_they_are())
            try:
                stage, relays = _set_up(console, stack, signals)
                code = _perform(console, stage, relays)
                if code == 0 and not once:
                    _stay(console, stage, relays)
            finally:
                signals.hold()
    except RelayError as error:
        report.say(console, str(error), "red")
        return 1
    except Stopped:
        report.say(console, "stopped; relays, devices and files are gone")
    return code


def _set_up(console: Console, stack: ExitStack, signals: Signals) -> tuple[Stage, list[Relay]]:
    """Start both devices and both relays; `stack` undoes it in reverse order."""
    made = tempfile.TemporaryDirectory(prefix="ulproxy-demo-", ignore_cleanup_errors=True)
    folder = Path(stack.enter_context(made))
    pacs = Pacs("PACS_MAIN", folder / "pacs")
    station = Workstation("WS1", folder / "received")
    with signals.held():
        stack.callback(pacs.stop)
        stack.callback(station.stop)
        ports = _start_devices(pacs, station)
    pacs.know("HA_WS1", config.HOST, ports.b_inside)
    relays = []
    for path in config.write(folder, ports):
        relay = Relay(path)
        relays.append(relay)
        with signals.held():
            stack.callback(relay.stop)
            relay.start()
    for relay in relays:
        relay.wait_ready()
    _introduce(console, ports, relays)
    target = Target(config.HOST, ports.a_inside, "HB_PACS")
    return Stage(station, pacs, target, folder), relays


def _start_devices(pacs: Pacs, station: Workstation) -> config.Ports:
    """On their usual ports, or on any where another program has them."""
    try:
        pacs_port = pacs.start(config.USUAL.pacs)
    except OSError:
        pacs_port = pacs.start(0)
    try:
        station_port = station.start(config.USUAL.station)
    except OSError:
        station_port = station.start(0)
    return choose_ports(station_port, pacs_port)


def _introduce(console: Console, ports: config.Ports, relays: list[Relay]) -> None:
    ours = (ports.station, ports.a_inside, ports.a_outside)
    theirs = (ports.b_outside, ports.b_inside, ports.pacs)
    for line in (
        "  hospital A                                           hospital B",
        "  workstation --- relay HOSP_A ------------------- relay HOSP_B --- PACS",
        "  WS1                                                               PACS_MAIN",
        "  " + "".join(f":{port:<12}" for port in ours + theirs).rstrip(),
        "",
        *(f"{relay.name} runs with {relay.config}" for relay in relays),
        "",
    ):
        report.say(console, line)


def _perform(console: Console, stage: Stage, relays: list[Relay]) -> int:
    """All steps, a line each, and the table; what the relays said only when a step failed."""
    failed = 0
    for name, step in STEPS.items():
        began = time.monotonic()
        with report.progress(console, name) as stage.progress:
            result = run(name, step, stage)
        report.step_line(console, result, time.monotonic() - began)
        failed += not result.ok
    console.print()
    console.print(report.table(stage))
    if not failed:
        return 0
    for relay in relays:
        relay.check()
        report.say(console, relay.complaint("is still running"), "red")
    return 1


def _stay(console: Console, stage: Stage, relays: list[Relay]) -> None:
    """Serve the newcomer's own client until a signal; RelayError when a relay dies."""
    report.commands(console, stage, stage.station.received.folder)
    for relay in relays:
        report.say(console, f"{relay.name} is process {relay.pid} and logs to {relay.log}")
    report.say(
        console,
        "What relay A decides about these, without any traffic:\n"
        f"  {sys.executable} -m ulproxy explain {relays[0].config} --network inside "
        f"--source {config.HOST} --calling WS1 --called HB_PACS --service move",
    )
    report.say(console, "Ctrl-C ends everything and removes the files.")
    stage.pacs.seen.note = stage.station.seen.note = lambda line: report.say(console, line, "dim")
    while True:
        for relay in relays:
            relay.check()
        time.sleep(0.5)
