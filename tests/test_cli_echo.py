"""`ulproxy echo`: every way in which an AE can answer a C-ECHO, or fail to."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any

import pytest
from pynetdicom import AE, evt

from tests.cli_peers import (
    A_RELEASE_RP,
    A_RELEASE_RQ,
    Step,
    a_abort,
    a_associate_ac,
    byte_by_byte,
    c_echo_rsp,
    called,
    config,
    hang_up,
    peer,
    read_pdu,
)
from ulproxy import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ulproxy.dimse.command import decode

SHORT = 0.3  # seconds
GIVEN_UP = a_abort(0, 0)


@pytest.fixture
def echo(tmp_path):
    """Calls the PACS at a port; returns exit code and what was printed, which names whom it called."""

    def call(port, connect=5.0, more=""):
        file = tmp_path / "relay.toml"
        file.write_text(config(pacs=port, connect=connect, more=more))
        result = called("echo", file, "pacs_b")
        where = f"pacs_b (PACS at 127.0.0.1:{port}), called as HOSP_A: "
        assert result.output.startswith(where)
        assert result.output.count("\n") == 1
        assert bool(result.stdout) is not bool(result.stderr)
        return result.exit_code, result.output.removeprefix(where).rstrip("\n")

    return call


@pytest.fixture
def scp():
    """A Verification SCP of pynetdicom and what it saw of its caller."""
    servers: list[Any] = []

    def start(status=0x0000, title=None):
        entity = AE(ae_title="PACS")
        entity.add_supported_context("1.2.840.10008.1.1")
        entity.require_called_aet = title is not None
        seen = []
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, lambda event: status),
            (evt.EVT_ACCEPTED, lambda event: seen.append(event.assoc.requestor.primitive)),
        ]
        server: Any = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=handlers, ae_title=title or "PACS"
        )
        servers.append(server)
        return server.server_address[1], seen

    yield start
    for server in servers:
        server.shutdown()


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("", IMPLEMENTATION_VERSION_NAME),
        ('omit = ["async-operations"]', IMPLEMENTATION_VERSION_NAME),
        ('omit = ["implementation-version-name"]', None),
    ],
)
def test_as_the_relay_would_call_it(echo, scp, more, name):
    port, seen = scp()
    code, text = echo(port, more=more)
    assert re.fullmatch(r"C-ECHO status 0000H in \d+ ms", text)
    assert code == 0
    (request,) = seen
    assert (request.calling_ae_title, request.called_ae_title) == ("HOSP_A", "PACS")
    items = {type(item).__name__: item for item in request.user_information}
    assert items["MaximumLengthNotification"].maximum_length_received == 16384
    uid = items["ImplementationClassUIDNotification"].implementation_class_uid
    assert uid == IMPLEMENTATION_CLASS_UID
    version = items.get("ImplementationVersionNameNotification")
    assert (version and version.implementation_version_name) == name
    assert len(items) == (2 if name is None else 3)


def test_another_status_is_a_failure(echo, scp):
    port, _ = scp(status=0x0122)
    code, text = echo(port)
    assert text.startswith("C-ECHO status 0122H in ")
    assert code == 1


def test_pynetdicom_rejects(echo, scp):
    port, _ = scp(title="OTHER")
    assert echo(port) == (1, "the association was rejected: 1,1,7")


def test_down(echo):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # nobody listens, and nobody else may
        port = sock.getsockname()[1]
        assert echo(port) == (1, f"127.0.0.1:{port}: Connection refused")


def test_a_host_that_is_not_known(tmp_path, monkeypatch):
    def fails(*_arguments, **_keywords):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", fails)
    file = tmp_path / "relay.toml"
    text = config().replace('"127.0.0.1:104"', '"pacs.example:104"\nsources = []')
    file.write_text(text)
    result = called("echo", file, "pacs_b")
    assert result.exit_code == 1
    assert "pacs.example:104: " in result.stderr
    assert result.stderr.endswith("Name or service not known\n")


# Answered, however it ends


@pytest.mark.parametrize(
    "ending",
    [
        (A_RELEASE_RP,),
        (A_RELEASE_RP + a_abort(2, 0),),
        (byte_by_byte(A_RELEASE_RP),),
        (GIVEN_UP,),
        (hang_up,),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (b"",),  # never
        (A_RELEASE_RQ, A_RELEASE_RP),  # at the same time
    ],
)
def test_how_the_ae_releases_is_its_own_business(echo, ending):
    with peer(a_associate_ac(), c_echo_rsp(), *ending) as one:
        code, text = echo(one.port, SHORT)
    assert re.fullmatch(r"C-ECHO status 0000H in \d+ ms", text)
    assert code == 0
    assert one.received[2] == A_RELEASE_RQ


def test_a_release_that_is_not_answered_is_aborted(echo):
    with peer(a_associate_ac(), c_echo_rsp(), b"") as one:
        code, text = echo(one.port, SHORT)
    assert code == 0
    assert int(text.split()[-2]) < SHORT * 1000  # the time to the response alone
    assert one.received[3:] == [GIVEN_UP]


@pytest.mark.parametrize("ending", [GIVEN_UP, a_abort(2, 2), A_RELEASE_RQ])
def test_an_end_in_the_same_read_as_the_response(echo, ending):
    with peer(a_associate_ac(), c_echo_rsp() + ending, A_RELEASE_RP) as one:
        assert echo(one.port, SHORT)[0] == 0


def test_a_release_collision_is_answered(echo):
    with peer(a_associate_ac(), c_echo_rsp(), A_RELEASE_RQ, A_RELEASE_RP) as one:
        assert echo(one.port)[0] == 0
    assert one.received[2:] == [A_RELEASE_RQ, A_RELEASE_RP]


def test_answers_byte_by_byte_and_in_many_fragments(echo):
    whole = c_echo_rsp()
    command = whole[12:]
    fragments = b"".join(
        bytes.fromhex("04 00 00000008 00000004 01")
        + (b"\3" if n + 2 == len(command) else b"\1")
        + command[n : n + 2]
        for n in range(0, len(command), 2)
    )
    with peer(byte_by_byte(a_associate_ac()), byte_by_byte(fragments), A_RELEASE_RP) as one:
        assert echo(one.port)[0] == 0
    assert one.received[-1] == A_RELEASE_RQ


@pytest.mark.parametrize("maximum_length", [0, 8, 9, 16, 2**32 - 1])
def test_the_request_fits_what_the_ae_takes(echo, maximum_length):
    """PS3.8 D.1; no fragment is odd (E.1)."""
    fragments: list[bytes] = []

    def answer_the_last(sock):
        while not fragments or not fragments[-1][11] & 2:
            fragments.append(read_pdu(sock))
        sock.sendall(c_echo_rsp() + A_RELEASE_RP)

    def associate(sock):
        sock.sendall(a_associate_ac(maximum_length=maximum_length))
        answer_the_last(sock)

    with peer(associate) as one:
        assert echo(one.port)[0] == 0
    assert all(len(pdu) - 6 <= (maximum_length or 2**32) for pdu in fragments)
    assert not any(len(pdu) % 2 for pdu in fragments)
    command = decode(b"".join(pdu[12:] for pdu in fragments))
    assert (command.command_field, command.message_id, command.has_data_set) == (0x30, 1, False)


# Not answered


BROKEN = c_echo_rsp()[:20] + b"\x01" + c_echo_rsp()[21:]  # the first byte of the group length
FAILURES: dict[str, tuple[list[Step], str, bytes | None]] = {
    "closed at once": ([hang_up], "the AE closed the connection", None),
    "rejected": (
        [bytes.fromhex("03 00 00000004 00 01 01 03")],
        "the association was rejected: 1,1,3",
        None,
    ),
    "rejected with numbers that there are not": (
        [bytes.fromhex("03 00 00000004 00 09 08 07")],
        "the association was rejected: 9,8,7",
        None,
    ),
    "aborted instead of an answer": ([a_abort(0, 0)], "the AE aborted: 0,0", None),
    "aborted by its provider": ([a_abort(2, 1)], "the AE aborted: 2,1", None),
    "silent": ([b""], f"no answer within {SHORT} s", GIVEN_UP),
    "half an answer": ([a_associate_ac()[:40]], f"no answer within {SHORT} s", GIVEN_UP),
    "no DICOM": (
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
        "the AE broke the protocol: ",
        a_abort(2, 1),
    ),
    "an acceptance that is broken": (
        [bytes.fromhex("02 00 00000044") + bytes(68)],
        "the AE broke the protocol: A_ASSOCIATE_AC: ",
        a_abort(2, 6),
    ),
    "an echo before the acceptance": (
        [c_echo_rsp()],
        "the AE broke the protocol: P-DATA-TF in Sta5",
        a_abort(2, 2),
    ),
    "context refused": ([a_associate_ac((1, 3))], "the AE is no Verification SCP", GIVEN_UP),
    "another context": ([a_associate_ac((3, 0))], "the AE is no Verification SCP", GIVEN_UP),
    "closed after the association": (
        [a_associate_ac(), hang_up],
        "the AE closed the connection",
        None,
    ),
    "aborted on the echo": ([a_associate_ac(), a_abort(0, 0)], "the AE aborted: 0,0", None),
    "aborted behind the acceptance": (
        [a_associate_ac() + a_abort(2, 0)],
        "the AE aborted: 2,0",
        None,
    ),
    "released instead": (
        [a_associate_ac(), A_RELEASE_RQ],
        "the AE released the association without an answer",
        GIVEN_UP,
    ),
    "silent on the echo": ([a_associate_ac()], f"no answer within {SHORT} s", GIVEN_UP),
    "half a response": (
        [a_associate_ac(), c_echo_rsp()[:30]],
        f"no answer within {SHORT} s",
        GIVEN_UP,
    ),
    "a broken command set": (
        [a_associate_ac(), BROKEN],
        "the AE broke the protocol: Command Group Length is missing or wrong",
        a_abort(2, 6),
    ),
    "on a context that is none": (
        [a_associate_ac(), c_echo_rsp(context_id=3)],
        "the AE broke the protocol: presentation context 3 not accepted",
        a_abort(2, 6),
    ),
    "a longer PDU than it was told": (
        [a_associate_ac(), bytes.fromhex("04 00 00010000") + bytes(100)],
        "the AE broke the protocol: ",
        a_abort(2, 6),
    ),
    "another response": (
        [a_associate_ac(), c_echo_rsp(field=0x8001)],
        "the AE answered with CommandSet(8001H, id 1), which is no response to a C-ECHO",
        GIVEN_UP,
    ),
    "a request": (
        [a_associate_ac(), c_echo_rsp(field=0x0030)],
        "the AE answered with CommandSet(0030H, id 0), which is no response to a C-ECHO",
        GIVEN_UP,
    ),
    "to another message": (
        [a_associate_ac(), c_echo_rsp(message_id=2)],
        "the AE answered with CommandSet(8030H, id 2), which is no response to a C-ECHO",
        GIVEN_UP,
    ),
    "without a status": (
        [a_associate_ac(), c_echo_rsp(status=None)],
        "the AE answered with CommandSet(8030H, id 1), which is no response to a C-ECHO",
        GIVEN_UP,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_it_did_instead(echo, name):
    """And the AE hears an A-ABORT, unless it has ended the association itself."""
    script, text, last = FAILURES[name]
    with peer(*script) as one:
        code, said = echo(one.port, SHORT)
    assert said.startswith(text) if text.endswith(": ") else said == text
    assert code == 1
    heard = [pdu for pdu in one.received if pdu[0] == 7]
    assert heard == ([last] if last else []) or (hang_up in script and not last)


def test_no_thread_is_left():
    assert [one.name for one in threading.enumerate() if "acse" in one.name.lower()] == []
