"""The dictionaries are those of pydicom, without pydicom."""

from __future__ import annotations

import subprocess
import sys

import pydicom.datadict
import pytest
from pydicom.uid import UID

from ulproxy.dimse import dictionary
from ulproxy.dimse.dictionary import SOP_CLASSES, VRS


def test_sop_classes():
    assert SOP_CLASSES["1.2.840.10008.1.1"] == "Verification SOP Class"
    assert SOP_CLASSES["1.2.840.10008.5.1.1.9"] == "Basic Grayscale Print Management Meta SOP Class"
    assert "1.2.840.10008.1.2" not in SOP_CLASSES  # a transfer syntax
    assert len(SOP_CLASSES) > 300
    assert all(UID(uid).name == name for uid, name in SOP_CLASSES.items() if name)


def test_vrs():
    assert (VRS[0x00080054], VRS[0x00081199], VRS[0x00100010]) == ("AE", "SQ", "PN")
    assert len(VRS) > 5000
    assert all(pydicom.datadict.dictionary_VR(tag) == vr for tag, vr in VRS.items())


def test_another_pydicom():
    with pytest.raises(ImportError, match="pydicom has no _colours"):
        dictionary._of_pydicom("_colours", "Colours")


def test_what_a_relay_does_not_use_is_not_imported():
    """Without a certificate to look into."""
    code = "import sys, ulproxy.cli, ulproxy.shell.process; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pydicom", "numpy"}.isdisjoint(ended.stdout.split())
