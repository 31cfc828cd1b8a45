"""The same negotiation as a library reads it: what pynetdicom says at one end it sees at the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pynetdicom import build_context, build_role, evt
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from tests.end_to_end.peers import Way, ae, border, relay, rule
from tests.end_to_end.pynet import association, entity, scp
from tests.end_to_end.uids import CT_IMAGE, MR_IMAGE


@dataclass
class Seen:
    """What the acceptor was told."""

    identity: tuple[Any, ...] = ()
    window: tuple[int, int] = (0, 0)
    extended: dict[str, bytes] = field(default_factory=dict)
    common: list[str] = field(default_factory=list)
    maximum_length: int = -1
    roles: tuple[bool, bool] | None = None

    def user(self, event: Any) -> tuple[bool, bytes]:
        self.identity = (event.user_id_type, event.primary_field)
        return True, b"welcome"

    def operations(self, event: Any) -> tuple[int, int]:
        self.window = (event.nr_invoked, event.nr_performed)
        return 2, 3

    def sop_extended(self, event: Any) -> dict[str, bytes]:
        self.extended = dict(event.app_info)
        return self.extended

    def sop_common(self, event: Any) -> dict[str, Any]:
        self.common = [str(uid) for uid in event.items]
        return {}

    def requested(self, event: Any) -> None:
        requestor = event.assoc.requestor
        self.maximum_length = requestor.maximum_length
        role = requestor.role_selection[CT_IMAGE]
        self.roles = (role.scu_role, role.scp_role)


@pytest.fixture(scope="module")
def seen() -> Seen:
    return Seen()


@pytest.fixture(scope="module")
def ways(seen: Seen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Way]]:
    server = entity("PACS")
    server.maximum_pdu_size = 40_000
    server.add_supported_context(CT_IMAGE, scu_role=False, scp_role=True)
    server.add_supported_context(MR_IMAGE)
    handlers = [
        (evt.EVT_REQUESTED, seen.requested),
        (evt.EVT_USER_ID, seen.user),
        (evt.EVT_ASYNC_OPS, seen.operations),
        (evt.EVT_SOP_EXTENDED, seen.sop_extended),
        (evt.EVT_SOP_COMMON, seen.sop_common),
    ]
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(scp(server, handlers))
        config = border(
            [ae("SCU", "west"), ae("PACS", "east", port, alias="FAR")], [rule(["SCU"], ["PACS"])]
        )
        running = stack.enter_context(relay(config, tmp_path_factory.mktemp("library")))
        yield {
            "direct": Way("direct", port, "PACS"),
            "relay": Way("relay", running.ports["west"], "FAR"),
        }


def proposals() -> list[Any]:
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 3, b"ticket"
    identity.positive_response_requested = True
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 4
    window.maximum_number_operations_performed = 5
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT_IMAGE, b"\1\2"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = MR_IMAGE, "1.2.840.10008.4.2"
    return [identity, window, extended, common, build_role(CT_IMAGE, True, True)]


def test_negotiation(by, seen, ways):
    client = entity("SCU")
    client.maximum_pdu_size = 30_000
    contexts = [build_context(CT_IMAGE), build_context(MR_IMAGE), build_context("1.2.3.4")]
    way = ways[by]
    with association(client, way.port, way.called, contexts, ext_neg=proposals()) as made:
        assert made.acceptor.primitive is not None
        told: dict[str, Any] = {
            type(i).__name__: i for i in made.acceptor.primitive.user_information
        }
        assert made.acceptor.maximum_length == 40_000
        assert told["UserIdentityNegotiation"].server_response == b"welcome"
        assert told["SOPClassExtendedNegotiation"].service_class_application_information == b"\1\2"
        role = told["SCP_SCU_RoleSelectionNegotiation"]
        assert (role.scu_role, role.scp_role) == (False, True)
        assert [c.context_id for c in made.accepted_contexts] == [1, 3]
        assert [(c.context_id, c.result) for c in made.rejected_contexts] == [(5, 3)]
    assert seen.identity == (3, b"ticket")
    assert seen.window == (4, 5)
    assert seen.extended == {CT_IMAGE: b"\1\2"}
    assert seen.common == [MR_IMAGE]
    assert seen.maximum_length == 30_000
    assert seen.roles == (True, True)
