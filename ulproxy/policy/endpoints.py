"""Where the relay listens, where it calls an AE or sends its audit messages, where an AE may call from.

Like values.py: from what the file says to what it means, or a ValueError that says what would be right.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal

from ulproxy.policy.values import EVERYTHING, each, shown, text_of, texts_of

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

LOCALHOST: Final = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1"))
ANYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
SyslogTransport = Literal["tls", "udp"]
_SYSLOG_PORTS: Final[dict[str, tuple[SyslogTransport, int]]] = {
    "tls": ("tls", 6514),  # RFC 5425 4.1
    "udp": ("udp", 514),  # RFC 5426 3.3
}
_ENDPOINT: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+)):([0-9]{1,5})")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1123 2.1; "_" is in use
_HOST_NAME: Final = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?!\d+\.?$){_LABEL}\.?")


@dataclass(frozen=True)
class Endpoint:
    """A host (IP address or name) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def bind(value: object) -> Endpoint:
    """Where the relay listens: an IP address or localhost, and a port (0 = any free one)."""
    endpoint = _endpoint(text_of(value))
    if _ip(endpoint.host) is None and endpoint.host != "localhost":
        raise ValueError(
            f'{shown(endpoint.host)} is no IP address; write one of this machine, "localhost", '
            'or "0.0.0.0" or "[::]" for all of them'
        )
    return endpoint


def address(value: object) -> Endpoint:
    """Where the relay calls an AE: an IP address or a host name, and a port."""
    endpoint = _endpoint(text_of(value))
    ip = _ip(endpoint.host)
    if endpoint.port == 0:
        raise ValueError("has port 0; write the port that the AE listens on, 1 to 65535")
    if ip is not None and (ip.is_unspecified or ip.is_multicast):
        raise ValueError(f"{endpoint.host} is not the address of one machine; write the AE's own")
    if ip is None and not _HOST_NAME.fullmatch(endpoint.host):
        raise ValueError(
            f'{shown(endpoint.host)} is no IP address or host name; write "10.0.0.5:104", '
            '"[fd00::5]:104" or "pacs.example:104"'
        )
    return endpoint


def syslog(value: object) -> tuple[SyslogTransport, Endpoint]:
    """Where audit messages go: tls:// or udp://, a host, and a port if it is not the usual one."""
    scheme, separator, place = text_of(value).strip().partition("://")
    if not separator or scheme.lower() not in _SYSLOG_PORTS:
        raise ValueError('does not begin with "tls://" or "udp://"')
    transport, port = _SYSLOG_PORTS[scheme.lower()]
    if ":" not in place or place.endswith("]"):
        place = f"{place}:{port}"
    try:
        return transport, address(place)
    except ValueError:
        raise ValueError(f'has no host and port behind "{transport}://"') from None


def host_of(text: str) -> str | None:
    """An IP address or a host name as it is compared; None if the text is neither."""
    if (ip := _ip(text)) is not None:
        return str(ip)
    return text.lower() if _HOST_NAME.fullmatch(text) else None


def sources(value: object) -> tuple[IpNetwork, ...]:
    """The networks that an AE may call from; an empty list is for an AE that is only called."""
    networks = each(_source, texts_of(value))
    return tuple(dict.fromkeys(network for group in networks for network in group))


def own_sources(endpoint: Endpoint) -> tuple[IpNetwork, ...] | None:
    """The sources of an AE that calls from its own address; None for a host name."""
    if endpoint.host == "localhost":
        return LOCALHOST
    ip = _ip(endpoint.host)
    # int() leaves out the scope of a link-local address, which is no part of a network
    return None if ip is None else (ipaddress.ip_network(f"{type(ip)(int(ip))}"),)


def _source(text: str) -> tuple[IpNetwork, ...]:
    text = text.strip()
    if text == EVERYTHING:
        return ANYWHERE
    host = text.partition("/")[0]
    network = _network(text)
    if network is None or "%" in text:
        raise ValueError(
            f'{shown(text)} is no IP address or network; write "10.0.0.5", "10.0.0.0/24", '
            '"fd00::/64" or "*"'
        )
    if _ip(host) != network.network_address:
        raise ValueError(
            f'{shown(text)} is an address within a network; write "{network}" for all of the '
            f'network or "{host}" for this address'
        )
    return (network,)


def _endpoint(text: str) -> Endpoint:
    text = text.strip()
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} {_endpoint_fault(text)}")
    if int(match[3]) > 65535:
        raise ValueError(f"has port {match[3]}; a port is at most 65535")
    ip = _ip(match[1] or match[2])
    if match[1] and (ip is None or ip.version == 4):
        raise ValueError(f'{shown(text)} has no IPv6 address in its brackets; write "[::1]:104"')
    return Endpoint(str(ip) if ip else match[2].lower(), int(match[3]))


def _endpoint_fault(text: str) -> str:
    if text.count(":") > 1 and "[" not in text:
        return 'looks like an IPv6 address; put it in brackets, "[fd00::5]:104"'
    if ":" not in text or text.endswith("]"):
        return 'has no port; write "10.0.0.5:104"'
    return 'is not a host and a port; write "10.0.0.5:104" or "[fd00::5]:104"'


def _ip(text: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> IpNetwork | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
