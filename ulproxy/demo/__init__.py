"""`ulproxy demo`: two hospitals on one machine, with a relay before each.

Hospital A has a workstation, hospital B a PACS; real DICOM files go from one to the other through both
relays, and a table shows what each side saw of the other. Nothing here is used by the relay itself.
pynetdicom plays the devices; it comes with the extra `ulproxy[demo]` and is loaded only here.

    station.py -> relay A -> relay B -> pacs.py            steps.py says what the workstation does
    station.py <- relay A <- relay B <- pacs.py            seen.py notes what each of them observes
"""

from rich.console import Console


def main(once: bool) -> int:
    """Run the demonstration; `once` ends it after the table. Returns the exit code."""
    try:
        import pynetdicom  # noqa: F401, PLC0415 - optional, and slow to load for other commands
    except ImportError:
        Console(stderr=True).print(
            "ulproxy demo needs pynetdicom: pip install 'ulproxy[demo]'",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return 1
    from ulproxy.demo.show import show  # noqa: PLC0415 - imports pynetdicom

    return show(Console(), once=once)
