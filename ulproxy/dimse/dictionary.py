"""What PS3.6 says of UIDs and data elements: the names of SOP classes, the VR of each tag.

The dictionaries are pydicom's. They are read without pydicom itself, of which a relay has no use and which
imports numpy and a hundred modules more: 24 MiB and 0.2 s of each start.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any, Final


def _of_pydicom(module: str, name: str) -> dict[Any, tuple[str, ...]]:
    """A dictionary out of a module of pydicom that imports nothing."""
    package = find_spec("pydicom")
    spec = PathFinder.find_spec(module, package.submodule_search_locations if package else [])
    if spec is None or spec.loader is None:
        raise ImportError(f"pydicom has no {module}")
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    found: dict[Any, tuple[str, ...]] = getattr(loaded, name)
    return found


# The names of SOP classes by their UIDs (PS3.6 table A-1); some of the retired ones have none.
SOP_CLASSES: Final[dict[str, str]] = {
    uid: name
    for uid, (name, kind, *_) in _of_pydicom("_uid_dict", "UID_dictionary").items()
    if "SOP Class" in kind
}
# The VR of each element by its tag (PS3.6 tables 6-1 and following).
VRS: Final[dict[int, str]] = {
    tag: vr for tag, (vr, *_) in _of_pydicom("_dicom_dict", "DicomDictionary").items()
}
