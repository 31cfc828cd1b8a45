"""Attribute matching of C-FIND keys, PS3.4 C.2.2.2.

Single value, list of UID, universal, wildcard, range and sequence matching against decoded data sets.
A key that the object has no value for matches only universally.
"""

import re
from collections.abc import Callable

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

# Not keys: they say how to read the query, or are the archive's own to fill in (PS3.4 C.4.1.1.3).
NOT_KEYS = frozenset(
    Tag(keyword)
    for keyword in (
        "SpecificCharacterSet",
        "QueryRetrieveLevel",
        "RetrieveAETitle",
        "InstanceAvailability",
        "TimezoneOffsetFromUTC",
    )
)
# C.2.2.2.4: the others know no wildcards, `*` and `?` are literal there.
WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
RANGE_VRS = frozenset({"DA", "TM"})


def matches(keys: Dataset, candidate: Dataset) -> bool:
    """Whether every key attribute of the query matches the candidate."""
    return all(element_matches(key, candidate) for key in keys if key.tag not in NOT_KEYS)


def element_matches(key: DataElement, candidate: Dataset) -> bool:
    """Whether one key matches; multi-valued attributes match when any value does (C.2.2.2.1)."""
    if key.VR == "SQ":
        return _sequence_matches(key, candidate)
    wanted = values(key)
    # C.2.2.2.3: a zero length key matches everything, and so does a lone asterisk.
    if not wanted or (key.VR in WILDCARD_VRS and wanted == ["*"]):
        return True
    if key.tag not in candidate:
        return False
    found = values(candidate[key.tag])
    tests = [_test(key.VR, value) for value in wanted]  # C.2.2.2.2: several UIDs are a list
    return any(test(value) for test in tests for value in found)


def values(element: DataElement) -> list[str]:
    """The values of an element as text, without padding; empty values are left out."""
    value = element.value
    several = value if isinstance(value, MultiValue | list) else [value]
    texts = ("" if item is None else str(item).strip(" \0") for item in several)
    return [text for text in texts if text]


def _sequence_matches(key: DataElement, candidate: Dataset) -> bool:
    """C.2.2.2.6: one item in the key; some item of the candidate must match all of it."""
    if not key.value or not any(values(inner) or inner.VR == "SQ" for inner in key.value[0]):
        return True
    if key.tag not in candidate:
        return False
    return any(matches(key.value[0], item) for item in candidate[key.tag].value)


def _test(vr: str, wanted: str) -> Callable[[str], bool]:
    """The test that a key value of this VR means."""
    if vr in RANGE_VRS:
        low, dash, high = (_digits(part) for part in wanted.partition("-"))
        if dash:
            return lambda value: _within(_digits(value), low, high)
        return lambda value: _digits(value) == low
    if vr in WILDCARD_VRS:
        pattern = _pattern(wanted, vr)
        if vr == "PN":  # component groups (PS3.5 6.2.1.1) match on their own, too
            return lambda value: any(pattern.fullmatch(form) for form in _names(value))
        return lambda value: pattern.fullmatch(value) is not None
    if vr in {"IS", "DS"}:
        return lambda value: _number(value) == _number(wanted)
    return lambda value: value == wanted


def _digits(text: str) -> str:
    """A date or time without the separators that old devices and TM fractions have; keeps a dash."""
    return re.sub(r"[.:\s]", "", text)


def _within(value: str, low: str, high: str) -> bool:
    """C.2.2.2.5: both ends count, either may be missing; 14 digits are more than DA or TM have."""
    padded = value.ljust(14, "0")
    return low.ljust(14, "0") <= padded and (not high or padded <= high.ljust(14, "9"))


def _pattern(wanted: str, vr: str) -> re.Pattern[str]:
    """`*` any run of characters, `?` any one; person names without regard to case."""
    names = vr == "PN"
    text = re.escape(wanted.rstrip("^=") if names else wanted)
    return re.compile(
        text.replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL | (re.IGNORECASE if names else 0)
    )


def _names(value: str) -> list[str]:
    """A person name whole and by component group, without empty trailing components."""
    return [form.strip().rstrip("^=") for form in [value, *value.split("=")]]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
