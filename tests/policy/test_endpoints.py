"""Binds, addresses and sources, each limit from both sides."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from ulproxy.policy import endpoints
from ulproxy.policy.endpoints import ANYWHERE, LOCALHOST, Endpoint


@pytest.mark.parametrize(
    ("text", "host", "port", "again"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0, "127.0.0.1:0"),
        ("0.0.0.0:1", "0.0.0.0", 1, "0.0.0.0:1"),
        ("127.0.0.1:65534", "127.0.0.1", 65534, "127.0.0.1:65534"),
        ("127.0.0.1:65535", "127.0.0.1", 65535, "127.0.0.1:65535"),
        (" Localhost:104 ", "localhost", 104, "localhost:104"),
        ("[::1]:104", "::1", 104, "[::1]:104"),
        ("[FD00:0:0::5]:104", "fd00::5", 104, "[fd00::5]:104"),
        ("[::]:104", "::", 104, "[::]:104"),
    ],
)
def test_binds(text, host, port, again):
    assert endpoints.bind(text) == Endpoint(host, port)
    assert str(endpoints.bind(text)) == again


@pytest.mark.parametrize("read", [endpoints.bind, endpoints.address])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (104, "is not text in quotes"),
        ("", "has no port"),
        ("10.0.0.5", "has no port"),
        ("[::1]", "has no port"),
        ("::1", "in brackets"),
        ("fd00::5:104", "in brackets"),
        ("10.0.0.5:", "not a host and a port"),
        (":104", "not a host and a port"),
        ("[]:104", "not a host and a port"),
        ("10.0.0.5:dicom", "not a host and a port"),
        ("10.0.0.5:-1", "not a host and a port"),
        ("10.0.0.5\n:104x", "not a host and a port"),
        ("10.0.0.5:\uff11", "not a host and a port"),
        ("10.0.0.5:65536", "at most 65535"),
        ("[10.0.0.5]:104", "no IPv6 address in its brackets"),
        ("[host]:104", "no IPv6 address in its brackets"),
    ],
)
def test_neither_binds_nor_addresses(read, text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        read(text)


@pytest.mark.parametrize("text", ["pacs.example:104", "10.0.0.300:104", "*:104"])
def test_no_binds(text):
    with pytest.raises(
        ValueError, match='is no IP address; write one of this machine, "localhost"'
    ):
        endpoints.bind(text)


LABEL = "a" * 63


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("10.0.0.5:1", "10.0.0.5"),
        ("10.0.0.5:65535", "10.0.0.5"),
        ("[::1]:104", "::1"),
        ("[fe80::1%eth0]:104", "fe80::1%eth0"),
        ("localhost:104", "localhost"),
        ("PACS.example.:104", "pacs.example."),
        ("ct_1:104", "ct_1"),
        ("3com.example:104", "3com.example"),
        (f"{LABEL}:104", LABEL),
        (f"{LABEL}.{LABEL}.{LABEL}.{LABEL[:-2]}:104", f"{LABEL}.{LABEL}.{LABEL}.{LABEL[:-2]}"),
    ],
)
def test_addresses(text, host):
    assert endpoints.address(text).host == host


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.5:0", "1 to 65535"),
        ("0.0.0.0:104", "not the address of one machine"),
        ("[::]:104", "not the address of one machine"),
        ("224.0.0.1:104", "not the address of one machine"),
        ("10.0.0.300:104", "no IP address or host name"),
        ("10.0.5:104", "no IP address or host name"),
        ("pacs..example:104", "no IP address or host name"),
        ("-pacs:104", "no IP address or host name"),
        ("pacs example:104", "no IP address or host name"),
        ("http//pacs:104", "no IP address or host name"),
        ("röntgen:104", "no IP address or host name"),
        (f"{LABEL}a:104", "no IP address or host name"),
        (f"{LABEL}.{LABEL}.{LABEL}.{LABEL[:-1]}:104", "no IP address or host name"),
    ],
)
def test_no_addresses(text, said):
    with pytest.raises(ValueError, match=said):
        endpoints.address(text)


@pytest.mark.parametrize(
    ("value", "networks"),
    [
        ([], ()),
        (["10.0.0.5"], ("10.0.0.5/32",)),
        ([" 10.0.0.0/24", "10.0.0.0/24"], ("10.0.0.0/24",)),
        (["10.0.0.0/255.255.255.0"], ("10.0.0.0/24",)),
        (["0.0.0.0/0"], ("0.0.0.0/0",)),
        (["10.0.0.5/32", "::1", "fd00::/64"], ("10.0.0.5/32", "::1/128", "fd00::/64")),
        (["*"], ("0.0.0.0/0", "::/0")),
        (["10.0.0.5", "*"], ("10.0.0.5/32", "0.0.0.0/0", "::/0")),
    ],
)
def test_sources(value, networks):
    assert endpoints.sources(value) == tuple(map(ip_network, networks))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.0.0.5", "is not a list of texts"),
        ([1], "is not a list of texts"),
        ([""], "is no IP address or network"),
        (["pacs.example"], "is no IP address or network"),
        (["localhost"], "is no IP address or network"),
        (["10.0.0.0/33"], "is no IP address or network"),
        (["fe80::1%eth0"], "is no IP address or network"),
        (["10.0.0.5/24"], 'write "10.0.0.0/24" for all of the network or "10.0.0.5" for this'),
        (["fd00::5/64"], 'write "fd00::/64" for all of the network or "fd00::5" for this'),
        (["10.0.0.1/8", "no"], '"no" is no IP address'),
    ],
)
def test_no_sources(value, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        endpoints.sources(value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.5", (ip_network("10.0.0.5/32"),)),
        ("fd00::5", (ip_network("fd00::5/128"),)),
        ("fe80::1%eth0", (ip_network("fe80::1/128"),)),
        ("localhost", LOCALHOST),
        ("pacs.example", None),
    ],
)
def test_where_an_address_calls_from(host, expected):
    assert endpoints.own_sources(Endpoint(host, 104)) == expected


def test_anywhere_is_anywhere():
    assert all(network.prefixlen == 0 for network in ANYWHERE)
    assert {network.version for network in ANYWHERE} == {4, 6}


@pytest.mark.parametrize(
    ("text", "transport", "place"),
    [
        ("tls://audit.example:6514", "tls", "audit.example:6514"),
        ("tls://audit.example", "tls", "audit.example:6514"),
        (" TLS://Audit.Example:1 ", "tls", "audit.example:1"),
        ("udp://10.0.0.9", "udp", "10.0.0.9:514"),
        ("udp://10.0.0.9:5514", "udp", "10.0.0.9:5514"),
        ("udp://[fd00::9]", "udp", "[fd00::9]:514"),
        ("tls://[fd00::9]:6515", "tls", "[fd00::9]:6515"),
    ],
)
def test_syslog(text, transport, place):
    found, endpoint = endpoints.syslog(text)
    assert (found, str(endpoint)) == (transport, place)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("audit.example:6514", 'does not begin with "tls://" or "udp://"'),
        ("tcp://audit.example", "does not begin with"),
        ("", "does not begin with"),
        ("tls://", 'has no host and port behind "tls://"'),
        ("udp://:514", 'has no host and port behind "udp://"'),
        ("tls://audit.example:0", "has no host and port"),
        ("tls://audit.example:6514/x", "has no host and port"),
        ("tls://fd00::9", "has no host and port"),
        ("udp://0.0.0.0", "has no host and port"),
        (5, "is not text in quotes"),
    ],
)
def test_no_syslog(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        endpoints.syslog(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("PACS.Example", "pacs.example"),
        ("10.0.0.5", "10.0.0.5"),
        ("FD00:0::5", "fd00::5"),
        ("a:104", None),
        ("", None),
    ],
)
def test_hosts(text, host):
    assert endpoints.host_of(text) == host
