"""Sending kept objects as they are: the bytes of the file, in their own transfer syntax.

pynetdicom decodes and encodes what it sends, and names itself as Move Originator; a PACS sends what it
has kept, and names the caller of the C-MOVE (PS3.7 9.1.1.1.9). Only where the peer did not accept the
object's transfer syntax is an uncompressed object encoded in another one.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from ulproxy.demo.archive import StoredObject

# PS3.8 9.3.2.2: context ids are the odd numbers from 1 to 255.
MAX_CONTEXTS = 128


@contextmanager
def files_as_they_are() -> Iterator[None]:
    """Have pynetdicom send files from disk without decoding them, for the time being."""
    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        yield
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before


def contexts_for(kinds: Iterable[tuple[str, str]]) -> list[PresentationContext]:
    """A presentation context for each (SOP class, transfer syntax), and the default ones (PS3.5 10.1)."""
    distinct = dict.fromkeys(kinds)
    contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in distinct]
    contexts += [
        build_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        for sop_class in dict.fromkeys(sop_class for sop_class, _ in distinct)
    ]
    return contexts[:MAX_CONTEXTS]


class Sender:
    """Stands in for `send_c_store` of an association on which a retrieve's sub-operations go out."""

    def __init__(
        self, assoc: Association, objects: list[StoredObject], originator: str | None = None
    ) -> None:
        self._assoc = assoc
        self._objects = {str(stored.sop_instance): stored for stored in objects}
        self._originator = originator

    def __call__(
        self,
        dataset: Dataset,
        msg_id: int = 1,
        originator_aet: str | None = None,  # noqa: ARG002 - pynetdicom's, and wrong
        originator_id: int | None = None,
    ) -> Dataset:
        """C-STORE the kept file of `dataset`, which need hold no more than its SOP Instance UID."""
        stored = self._objects[str(dataset.SOPInstanceUID)]
        exact = any(
            context.abstract_syntax == stored.sop_class
            and context.transfer_syntax[0] == stored.transfer_syntax
            and context.as_scu
            for context in self._assoc.accepted_contexts
        )
        return Association.send_c_store(
            self._assoc,
            stored.path if exact else dcmread(stored.path),
            msg_id=msg_id,
            originator_aet=self._originator,
            originator_id=originator_id,
        )
