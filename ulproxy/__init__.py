"""ulproxy: a DICOM Upper Layer relay for the border between networks."""

__version__ = "0.1.0"

# PS3.7 D.3.3.2: the relay is the peer on both sides, so it names itself. 2.25 = UUID-derived (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID = "2.25.303869275041326571287403172853629401857"
IMPLEMENTATION_VERSION_NAME = "ULPROXY_" + __version__.replace(".", "")
