"""The whole file: what comes out, what is refused, and that nothing but a ConfigError is raised."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.config_text import (
    AE_2,
    BASE,
    END,
    LIMITS,
    RELAY,
    RULE,
    assert_found,
    edited,
    problems,
)
from ulproxy.dimse.services import Service
from ulproxy.errors import ConfigError
from ulproxy.policy import config
from ulproxy.policy.config import (
    ApplicationEntity,
    Config,
    Endpoint,
    Limits,
    Listener,
    Omittable,
    Relay,
    Rule,
    load,
    parse,
)
from ulproxy.policy.model import AeTls, Audit, Group, ListenerTls, Syslog

# The example of the contract, the AEs that it leaves out added.
CONTRACT = """\
[relay]
title = "HOSP_A"                 # the relay's own AE title
enforce = true
on_revoke = "finish"             # or "abort"
state = "state.sqlite"

[limits]                         # all optional
associations = 1000
associations_per_source = 100
pending = 200
artim = 30.0
connect = 10
idle = 600.0
write = 60.0
max_pdu = 0

[[listener]]
network = "inside"
bind = "127.0.0.1:11112"

[[listener]]
network = "outside"
bind = "127.0.0.1:2762"
tls = { certificate = "a.pem", key = "a.key", ca = "ca.pem", client_certificate = "required" }

[[ae]]
title = "WS1"
network = "inside"
address = "127.0.0.1:11120"
sources = ["127.0.0.1/32"]
alias = "HA_WS1"
name = "WS1"
omit = ["async-operations"]
associations = 20

[[ae]]
title = " WS2 "
network = "inside"
address = "localhost:11121"

[[ae]]
title = "PACS"
network = "outside"
address = "[::1]:104"
alias = "HB_PACS"
name = "HB_PACS"
move_originator = false
tls = { ca = "ca.pem", certificate = "a.pem", key = "a.key", profile = "modified" }
certificate = "SHA256:00:00000000000000000000000000000000000000000000000000000000000000"

[[group]]
title = "ALL_PACS"
members = ["HB_PACS"]

[[rule]]
from = ["WS1"]
to = ["HB_PACS"]
services = ["echo", "find", "move", "get", "store"]
destinations = ["WS1", "WS2"]

[[rule]]
from = ["network:inside"]
to = ["*"]
services = ["*"]
destinations = ["WS2"]

[audit]
file = "audit.jsonl"
syslog = "tls://audit.example"
on_full = "drop"
tls = { ca = "/etc/ca.pem" }
"""
IN, OUT = "inside", "outside"


LOCAL = (ip_network("127.0.0.1"), ip_network("::1"))
CA, PEM, KEY = Path("ca.pem"), Path("a.pem"), Path("a.key")
LISTENERS = (
    Listener(IN, Endpoint("127.0.0.1", 11112)),
    Listener(
        OUT,
        Endpoint("127.0.0.1", 2762),
        ListenerTls(certificate=PEM, key=KEY, ca=CA, client_certificate="required"),
    ),
)
AES = (
    ApplicationEntity(
        *("WS1", IN, Endpoint("127.0.0.1", 11120), LOCAL[:1], "HA_WS1", "WS1"),
        *(frozenset({Omittable.ASYNC_OPERATIONS}), 20),
    ),
    ApplicationEntity(
        "WS2", IN, Endpoint("localhost", 11121), LOCAL, None, "WS2", frozenset(), None
    ),
    ApplicationEntity(
        *("PACS", OUT, Endpoint("::1", 104), LOCAL[1:], "HB_PACS", "HB_PACS"),
        *(frozenset(), None, False),
        AeTls(ca=CA, certificate=PEM, key=KEY, profile="modified"),
        "sha256:" + "0" * 64,
    ),
)


def test_the_example_of_the_contract():
    find = frozenset(map(Service, ("echo", "find", "move", "get", "store")))
    repository = Syslog("tls", Endpoint("audit.example", 6514))
    expected = Config(
        Relay(title="HOSP_A", state=Path("state.sqlite")),
        Limits(),
        LISTENERS,
        AES,
        (
            Rule(1, 55, ("WS1",), ("HB_PACS",), find, ("WS1", "WS2")),
            Rule(2, 61, ("network:inside",), ("*",), frozenset(Service), ("WS2",)),
        ),
        (),
        (Group("ALL_PACS", ("HB_PACS",)),),
        Audit(Path("audit.jsonl"), repository, "drop", AeTls(ca=Path("/etc/ca.pem"))),
    )
    assert parse(CONTRACT) == expected
    assert hash(parse(CONTRACT)) == hash(expected)
    assert parse(CONTRACT.replace("\n", "\r\n")) == expected


def test_file_names_are_relative_to_the_directory_of_the_file():
    """Whole ones stay as they are."""
    found = parse(CONTRACT, Path("/etc/ulproxy"))
    assert found.relay.state == Path("/etc/ulproxy/state.sqlite")
    listener, ae, audit = found.listeners[1].tls, found.aes[2].tls, found.audit
    assert listener is not None
    assert ae is not None
    assert audit is not None
    assert audit.tls is not None
    for one in (listener, ae):
        names = [one.certificate, one.key, one.ca]
        assert names == [Path("/etc/ulproxy", name) for name in ("a.pem", "a.key", "ca.pem")]
    assert (audit.file, audit.tls.ca) == (Path("/etc/ulproxy/audit.jsonl"), Path("/etc/ca.pem"))


def test_the_least_that_works():
    least = parse('[relay]\ntitle = "A"\n[[listener]]\nnetwork = "n"\nbind = "127.0.0.1:0"\n')
    assert (least.limits, least.aes, least.rules, least.notes) == (Limits(), (), (), ())


def test_everything_public_is_there():
    assert all(hasattr(config, name) for name in config.__all__)


@pytest.mark.parametrize(
    ("edits", "sources"),
    [
        ({AE_2 + 3: 'address = "10.0.0.9:104"'}, ["10.0.0.9/32"]),
        ({AE_2 + 3: 'address = "[fd00::9]:104"'}, ["fd00::9/128"]),
        ({AE_2 + 3: 'address = "localhost:104"'}, ["127.0.0.1/32", "::1/128"]),
        ({AE_2 + 4: 'sources = ["10.1.0.0/16"]'}, ["10.1.0.0/16"]),
        ({AE_2 + 4: "sources = []"}, []),
        ({AE_2 + 3: 'address = "pacs:104"', AE_2 + 4: 'sources = ["*"]'}, ["0.0.0.0/0", "::/0"]),
        ({AE_2 + 3: 'address = "pacs:104"', AE_2 + 4: "sources = []"}, []),
    ],
)
def test_where_an_ae_calls_from(edits, sources):
    assert parse(edited(edits)).aes[1].sources == tuple(map(ip_network, sources))


NEITHER = "is missing, and sources too: this AE could neither be called nor call; write"
HOST_NAME = 'is a host name, which does not tell where this AE calls from; write sources = ["10.'


@pytest.mark.parametrize(
    ("edits", "more", "expected"),
    [
        ({RELAY: "", RELAY + 1: ""}, "", [(0, "relay.title", "is missing; write [relay] and")]),
        ({RELAY: "[[relay]]"}, "", [(RELAY, "relay", "is not one table; write [relay] once")]),
        ({LIMITS: "limits = 3", LIMITS + 1: ""}, "", [(LIMITS, "relay.limits", "is unknown")]),
        ({LIMITS: "[limit]"}, "", [(LIMITS, "limit", 'is unknown; did you mean "limits"?')]),
        ({RULE: "[[rules]]"}, "", [(RULE, "rules", 'is unknown; did you mean "rule"?')]),
        ({}, "[zzz.rule]\n", [(END + 1, "zzz", "is unknown; known are ")]),
        ({RULE: "[rule]"}, "", [(RULE, "rule", "is not a list of tables; write [[rule]] above")]),
        (
            {RULE: "[rule]", RULE + 3: ""},
            "",
            [
                (RULE, "rule", "is not a list of tables"),
                (RULE, "rule[1].services", "is missing"),
            ],
        ),
        ({AE_2 + 3: ""}, "", [(AE_2, "ae[PACS].address", NEITHER)]),
        ({AE_2 + 3: "sources = []"}, "", [(AE_2, "ae[PACS].address", NEITHER)]),
        ({AE_2 + 3: 'address = "pacs:4"'}, "", [(AE_2 + 3, "ae[PACS].address", HOST_NAME)]),
        ({AE_2 + 1: "", RULE: "#"}, "", [(AE_2, "ae[2].title", "is missing; write title =")]),
        (
            {AE_2 + 1: 'name = "*"'},
            "",
            [
                (AE_2, "ae[2].title", "is missing"),
                (AE_2 + 1, "ae[2].name", "in rules"),
                (RULE + 2, "rule[1].to", 'no AE is named "PACS"'),
            ],
        ),
        ({AE_2 + 4: 'name = ""'}, "", [(AE_2 + 4, "ae[2].name", "is empty")]),
    ],
)
def test_tables_and_entries(edits, more, expected):
    text = edited(edits, more)
    if RULE in edits and edits[RULE] == "#":
        text = text[: text.index("#")]
    found = problems(text)
    assert_found([p for p in found if p.line or p.key == "relay.title"], expected)


def test_lists_in_brackets():
    text = 'ae = [1, { title = "A", network = "n", sources = ["*"] }, { title = "B" }]\n'
    text += 'rule = 1\n[relay]\ntitle = "X"\n[[listener]]\nnetwork = "n"\nbind = "127.0.0.1:0"\n'
    expected = [
        (1, "ae", "is not a list of tables; write [[ae]] above each"),
        (1, "ae[B].network", "is missing"),
        (2, "rule", "is not a list of tables"),
    ]
    assert_found(problems(text), expected)


def test_what_is_not_built_yet_is_refused():
    text = edited(more='deidentify = "basic"\n')
    key = "rule[1].deidentify"
    assert_found(problems(text), [(END + 1, key, "not built yet in this release; ")])
    assert [p.key.rpartition(".")[2] for p in problems(f"{text}zzz = 1\n")][-1] == "zzz"


def test_what_observes():
    assert parse(BASE).relay.enforce is True
    found = parse(edited({RELAY + 2: "enforce = false"}))
    assert found.relay.enforce is False
    said = "rules are only observed: what they would refuse passes, and is logged"
    assert_found(found.notes, [(RELAY + 2, "relay.enforce", said)])


def test_no_secret_is_repeated():
    more = "passcode = 'S3CRET'\n[audit]\nsyslog = ['S3CRET']\n[[ae]]\ncertificate = 'S3CRET'\n"
    found = problems(edited({LIMITS + 1: "pending = 'S3CRET'", 28: "from = 'S3CRET'"}, more))
    assert len(found) >= 6
    assert not any("S3CRET" in problem.text for problem in found)


def test_files(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(BASE)
    assert load(path) == parse(BASE)
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert load(path) == parse(BASE)


def test_the_files_that_a_file_names(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(BASE + '[audit]\nfile = "audit/log"\ntls = { ca = "ca.pem" }\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert_found(
        caught.value.problems,
        [
            (END + 2, "audit.file", f'there is no directory "{tmp_path}/audit"; make it'),
            (END + 3, "audit.tls.ca", f'"{tmp_path}/ca.pem" cannot be read: No such file'),
        ],
    )
    found = load(path, files=False).audit
    assert found is not None
    assert found.file == tmp_path / "audit" / "log"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[relay]\n\ntitle = '\xd6'\n", (3, "encoding", "is not UTF-8; save the file as UTF-8")),
        (b"\n[relay\n", (2, "syntax", "']'")),
        (b"", (0, "relay.title", "is missing")),
    ],
)
def test_files_with_faults(tmp_path, content, expected):
    path = tmp_path / "site.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert_found([p for p in caught.value.problems if p.key != "listener"], [expected])


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "No such file"), (".", "directory"), ("\0", "null byte")]
)
def test_no_files(tmp_path, name, said):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name)
    assert_found(caught.value.problems, [(0, "file", said)])


KEYS = re.findall(r"^(\w+) =", CONTRACT, re.MULTILINE)
TEXTS = [*re.findall(r'"([^"\n]*)"', CONTRACT), "*", "network:inside", "", "..", "[::1]:0", "Ö\\n"]
TOML_TEXT = st.sampled_from(TEXTS).map(lambda text: f'"{text}"')
NUMBERS = st.sampled_from(["0", "-1", "1", "8", "1.5", "inf", "nan", "1e400", "0x10", "9" * 400])
OTHERS = st.sampled_from(["true", "false", "1979-05-27", "07:32:00", "[]", "{}", "[[]]", "[{}]"])
SIMPLE = TOML_TEXT | NUMBERS | OTHERS
LISTS = st.lists(SIMPLE, max_size=3).map(lambda values: f"[{', '.join(values)}]")
NAMES = st.sampled_from([*KEYS, "tls", "certificate", "deidentify", "destinations", '"x y"'])
PAIRS = st.builds("{} = {}\n".format, NAMES, SIMPLE | LISTS | TOML_TEXT.map("[{}]".format))
HEADERS = st.sampled_from(
    [
        "[[listener]]",
        "[[ae]]",
        "[[rule]]",
        "[relay]",
        "[limits]",
        "[[group]]",
        "[audit]",
        "[ae]",
        "[x]",
    ]
).map("{}\n".format)
TABLES = st.sampled_from([table + "\n" for table in CONTRACT.split("\n\n")])
DOCUMENTS = st.lists(TABLES | HEADERS | PAIRS, max_size=20).map("".join)


def outcome(text: str) -> None:
    """Nothing but a ConfigError may come out of problems(), and only with problems."""
    found = problems(text)
    assert all(0 <= problem.line <= text.count("\n") + 1 for problem in found)
    assert found or hash(parse(text)) == hash(parse(text))


@given(st.text() | st.text("[]{}=\"'#\n\r.,\\ab1 "))
def test_any_text(text):
    outcome(text)


@given(DOCUMENTS)
def test_any_document(text):
    outcome(text)


@given(st.data())
def test_any_edit_of_a_file_that_works(data):
    lines = CONTRACT.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(0, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        lines[number : number + data.draw(st.integers(0, 1))] = [
            data.draw(PAIRS | TABLES | HEADERS)
        ]
    outcome("".join(lines))
