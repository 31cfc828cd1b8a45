"""Association negotiation across the relay (PS3.8 annex D, PS3.7 annex D.3).

What one side proposes is proposed to the other as it came, less what the rules refuse; an answer can
only narrow it. Presentation context ids are kept and the maximum length told to each side is the other's,
so no data fragment needs to be changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from ulproxy import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import (
    AAssociateAC,
    AAssociateRQ,
    PresentationContextAC,
    PresentationContextRQ,
    titles,
)
from ulproxy.pdu.items import AsynchronousOperationsWindow, RoleSelection, UserInformation
from ulproxy.pdu.memo import Memo
from ulproxy.pdu.types import Result
from ulproxy.policy.decision import Answer, Forward
from ulproxy.policy.values import Omittable

T = TypeVar("T")
_NO_LIMIT: Final = 1 << 32
_ANSWERED: Final = Memo[
    tuple[AAssociateRQ, Forward, AAssociateRQ, AAssociateAC, int], AAssociateAC
]()
_PROPOSED: Final = Memo[tuple[AAssociateRQ, Forward, int], AAssociateRQ]()


def least(first: int, second: int) -> int:
    """The smaller of two numbers of which 0 means no limit."""
    return min(first or _NO_LIMIT, second or _NO_LIMIT) % _NO_LIMIT


def onward_request(request: AAssociateRQ, forward: Forward, max_pdu: int) -> AAssociateRQ:
    """The A-ASSOCIATE-RQ that the callee gets."""
    key = request, forward, max_pdu
    proposed = _PROPOSED.get(key)
    if proposed is None:
        proposed = _onward_request(request, forward, max_pdu)
        if request.is_memorable:
            _PROPOSED.put(key, proposed)
    return proposed


def _onward_request(request: AAssociateRQ, forward: Forward, max_pdu: int) -> AAssociateRQ:
    offered = {context.abstract_syntax for context in forward.offered}
    asked, omit = request.user_information, forward.callee.omit

    def kept(item: Omittable, value: T, nothing: T) -> T:
        return nothing if item in omit else value

    information = UserInformation(
        maximum_length=least(asked.maximum_length, max_pdu),
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=kept(
            Omittable.IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME, None
        ),
        asynchronous_operations_window=kept(
            Omittable.ASYNC_OPERATIONS, asked.asynchronous_operations_window, None
        ),
        roles=kept(
            Omittable.ROLE_SELECTION,
            tuple(role for role in asked.roles if role.sop_class_uid in offered),
            (),
        ),
        sop_class_extended=kept(
            Omittable.SOP_CLASS_EXTENDED,
            tuple(one for one in asked.sop_class_extended if one.sop_class_uid in offered),
            (),
        ),
        sop_class_common_extended=kept(
            Omittable.SOP_CLASS_COMMON_EXTENDED,
            tuple(one for one in asked.sop_class_common_extended if one.sop_class_uid in offered),
            (),
        ),
        user_identity=kept(Omittable.USER_IDENTITY, asked.user_identity, None),
    )
    return AAssociateRQ(
        titles(forward.called_ae_title, forward.calling_ae_title), forward.offered, information
    )


def inbound_answer(
    request: AAssociateRQ,
    forward: Forward,
    proposed: AAssociateRQ,
    answer: AAssociateAC,
    max_pdu: int,
) -> AAssociateAC:
    """The A-ASSOCIATE-AC that the caller gets for what the callee answered to `proposed`.

    Raises RemoteProtocolError where the callee accepts what was not proposed.
    """
    key = request, forward, proposed, answer, max_pdu
    told = _ANSWERED.get(key)
    if told is None:
        told = _inbound_answer(*key)
        if request.is_memorable and answer.is_memorable:
            _ANSWERED.put(key, told)
    return told


def _inbound_answer(
    request: AAssociateRQ,
    forward: Forward,
    proposed: AAssociateRQ,
    answer: AAssociateAC,
    max_pdu: int,
) -> AAssociateAC:
    given = _given(proposed.presentation_contexts, answer.presentation_contexts)
    contexts = tuple(
        given.get(context.context_id)
        or PresentationContextAC(
            context.context_id,
            forward.refused.get(context.context_id, Result.NO_REASON),
            context.transfer_syntaxes[0],
        )
        for context in request.presentation_contexts
    )
    asked, told = proposed.user_information, answer.user_information
    identity = asked.user_identity
    extended = {one.sop_class_uid for one in asked.sop_class_extended}
    information = UserInformation(
        maximum_length=least(told.maximum_length, max_pdu),
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        asynchronous_operations_window=_window(
            asked.asynchronous_operations_window, told.asynchronous_operations_window
        ),
        roles=_roles(asked.roles, told.roles),
        sop_class_extended=tuple(
            one for one in told.sop_class_extended if one.sop_class_uid in extended
        ),
        server_response=told.server_response
        if identity is not None and identity.positive_response_requested
        else None,
    )
    return AAssociateAC(request.titles, contexts, information)


def own_answer(request: AAssociateRQ, decision: Answer, max_pdu: int) -> AAssociateAC:
    """The A-ASSOCIATE-AC of the relay's own Verification SCP; it takes what any caller would send."""
    contexts = tuple(
        PresentationContextAC(
            context.context_id,
            Result.ACCEPTANCE if context.context_id in decision.accepted else Result.USER_REJECTION,
            decision.accepted.get(context.context_id, context.transfer_syntaxes[0]),
        )
        for context in request.presentation_contexts
    )
    information = UserInformation(
        maximum_length=max_pdu or 16384,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )
    return AAssociateAC(request.titles, contexts, information)


def _given(
    proposed: tuple[PresentationContextRQ, ...], answered: tuple[PresentationContextAC, ...]
) -> dict[int, PresentationContextAC]:
    """The callee's answers by context id; one to a context that it leaves out is the caller's guess."""
    by_id = {context.context_id: context for context in proposed}
    given = {}
    for context in answered:
        if (asked := by_id.get(context.context_id)) is None:
            raise RemoteProtocolError(f"context {context.context_id} was not proposed")
        if context.result != Result.ACCEPTANCE:
            syntax = asked.transfer_syntaxes[0]
        elif context.transfer_syntax in asked.transfer_syntaxes:
            syntax = context.transfer_syntax
        else:
            raise RemoteProtocolError(
                f"context {context.context_id} accepted in {context.transfer_syntax},"
                " which was not proposed"
            )
        given[context.context_id] = context._replace(transfer_syntax=syntax)
    return given


def _window(
    asked: AsynchronousOperationsWindow | None, told: AsynchronousOperationsWindow | None
) -> AsynchronousOperationsWindow | None:
    """PS3.7 D.3.3.3: an answer only to a proposal, and only lower."""
    if asked is None or told is None:
        return None
    return AsynchronousOperationsWindow(
        least(asked.invoked, told.invoked), least(asked.performed, told.performed)
    )


def _roles(
    asked: tuple[RoleSelection, ...], told: tuple[RoleSelection, ...]
) -> tuple[RoleSelection, ...]:
    """PS3.7 D.3.3.4: an answer only to a proposal, and a role only where it was proposed."""
    by_uid = {role.sop_class_uid: role for role in asked}
    return tuple(
        RoleSelection(
            role.sop_class_uid,
            role.scu and by_uid[role.sop_class_uid].scu,
            role.scp and by_uid[role.sop_class_uid].scp,
        )
        for role in told
        if role.sop_class_uid in by_uid
    )


def several_answer(
    request: AAssociateRQ,
    accepted: dict[int, str],
    maximum_length: int,
    refused: dict[int, Result] | None = None,
) -> AAssociateAC:
    """The A-ASSOCIATE-AC for an association with several AEs behind it, which accept by themselves.

    `accepted` has the transfer syntaxes by context id, `refused` the results of others, if it is not the
    rules that refuse them. Roles are those proposed: whether an AE keeps to one shows when it is asked. There
    is no window and no extended negotiation to be agreed on.
    """
    results = {**(refused or {}), **dict.fromkeys(accepted, Result.ACCEPTANCE)}
    contexts = tuple(
        PresentationContextAC(
            context.context_id,
            results.get(context.context_id, Result.USER_REJECTION),
            accepted.get(context.context_id, context.transfer_syntaxes[0]),
        )
        for context in request.presentation_contexts
    )
    classes = {c.abstract_syntax for c in request.presentation_contexts if c.context_id in accepted}
    information = UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        roles=tuple(
            role for role in request.user_information.roles if role.sop_class_uid in classes
        ),
    )
    return AAssociateAC(request.titles, contexts, information)


def restricted(proposed: AAssociateRQ, accepted: dict[int, str]) -> AAssociateRQ:
    """The same proposal less what the caller was not accepted, each context in the one transfer syntax."""
    contexts = tuple(
        context._replace(transfer_syntaxes=(accepted[context.context_id],))
        for context in proposed.presentation_contexts
        if context.context_id in accepted
    )
    return replace(proposed, presentation_contexts=contexts)


def accepted_of(proposed: AAssociateRQ, answer: AAssociateAC) -> dict[int, str]:
    """The transfer syntaxes that an AE accepted, by context id; raises RemoteProtocolError as above."""
    given = _given(proposed.presentation_contexts, answer.presentation_contexts)
    return {
        context_id: context.transfer_syntax
        for context_id, context in given.items()
        if context.result == Result.ACCEPTANCE
    }
