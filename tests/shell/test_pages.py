"""Pages over HTTP to whoever asks, however: slowly, badly, many at once, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from tests.shell.peers import eventually
from ulproxy.policy.endpoints import Endpoint
from ulproxy.shell import pages as module
from ulproxy.shell.pages import MAX_OPEN, MAX_REQUEST, Page, Pages

HERE = Endpoint("127.0.0.1", 0)
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = b"x" * 8_000_000


def answer(path: str) -> Page | None:
    return {"/a": Page(HTTPStatus.OK, b"an a"), "/big": Page(HTTPStatus.OK, BIG)}.get(path)


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Pages, int]]:
    made = Pages(asyncio.get_running_loop(), answer)
    made.move(HERE)
    try:
        yield made, made.addresses[0].port
    finally:
        made.close()
        assert made.addresses == []
        assert made._visits == {}


async def got(port: int, *request: bytes, end: bool = False) -> bytes:
    """All that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        for part in request:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if end:
            with contextlib.suppress(OSError):  # answered and closed by now
                writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)


@pytest.mark.parametrize(
    "request_",
    [
        (GET,),
        (b"GET /a?x=1 HTTP/1.0\r\n\r\n",),
        (b"GET /a HTTP/1.1\n\n",),
        (GET[:3], GET[3:20], GET[20:]),
        (GET, b"and more"),
    ],
)
@pytest.mark.parametrize("end", [False, True])
async def test_a_page(log, request_, end):
    async with served() as (_, port):
        assert log.lines("metrics are served")[0]["address"] == f"127.0.0.1:{port}"
        head, _, body = (await got(port, *request_, end=end)).partition(b"\r\n\r\n")
        assert head.splitlines()[0] == b"HTTP/1.1 200 OK"
        assert b"\r\nContent-Length: 4\r\n" in head
        assert body == b"an a"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /b HTTP/1.1\r\n\r\n", HTTPStatus.NOT_FOUND),
        (b"GET /../a HTTP/1.1\r\n\r\n", HTTPStatus.NOT_FOUND),
        (b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"HEAD /a HTTP/1.1\r\n\r\n", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"get /a HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET a HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /a\xff HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /a HTTP/2\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /" + b"a" * 201 + b" HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"\x01\x00\x00\x00\x00\xcd\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"x" * (MAX_REQUEST + 1), HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    ],
)
async def test_what_is_answered_otherwise(log, request_, status):
    async with served() as (_, port):
        found = await got(port, request_)
        assert found.startswith(f"HTTP/1.1 {status} {status.phrase}\r\n".encode())
        assert (b"\r\nAllow: GET\r\n" in found) == (status is HTTPStatus.METHOD_NOT_ALLOWED)


@pytest.mark.parametrize("length", [MAX_REQUEST - 1, MAX_REQUEST])
async def test_the_longest_request(log, length):
    async with served() as (_, port):
        request = GET[:-4] + b"\r\nX: " + b"x" * (length - len(GET) - 5) + b"\r\n\r\n"
        assert len(request) == length
        assert (await got(port, request)).startswith(b"HTTP/1.1 200 ")


async def test_a_page_that_is_read_slowly(log):
    async with served() as (pages, port):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /big HTTP/1.1\r\n\r\n")
            await eventually(lambda: len(pages._visits) == 1, "it has come")
            assert (await got(port, GET)).endswith(b"an a")
            client.setblocking(False)
            loop, found = asyncio.get_running_loop(), b""
            while data := await loop.sock_recv(client, 1 << 20):
                found += data
            assert found.endswith(BIG)


async def test_one_who_says_nothing_or_does_not_read_is_not_waited_for(log, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.2)
    async with served() as (pages, port):
        assert await got(port) == b""
        assert await got(port, b"GET /a") == b""
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /big HTTP/1.1\r\n\r\n")
            await eventually(lambda: len(pages._visits) == 1, "it has come")
            await eventually(lambda: not pages._visits, "it is let go")


async def test_one_who_is_gone(log):
    async with served() as (pages, port):
        for request in (b"", b"GET /a", b"GET /big HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(request)
                await eventually(lambda: len(pages._visits) == 1, "it has come")
                await asyncio.sleep(0.02)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await eventually(lambda: not pages._visits, "it is gone")


async def test_the_oldest_makes_room(log):
    async with served() as (pages, port):
        with contextlib.ExitStack() as stack:
            crowd = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                for _ in range(MAX_OPEN)
            ]
            await eventually(lambda: len(pages._visits) == MAX_OPEN, "all have come")
            assert (await got(port, GET)).endswith(b"an a")
            crowd[0].settimeout(5)
            assert crowd[0].recv(1) == b""
            crowd[1].sendall(GET)
            crowd[1].setblocking(False)
            found = await asyncio.get_running_loop().sock_recv(crowd[1], 1000)
            assert found.endswith(b"an a")


async def test_they_move(log):
    async with served() as (pages, port):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            with pytest.raises(OSError, match=f"{taken.getsockname()[1]}") as caught:
                pages.move(Endpoint(*taken.getsockname()))
            assert caught.value.errno == errno.EADDRINUSE
        assert (await got(port, GET)).endswith(b"an a")
        pages.move(None)
        with pytest.raises(ConnectionRefusedError):
            await got(port, GET)
        pages.move(HERE)
        assert (await got(pages.addresses[0].port, GET)).endswith(b"an a")
