"""Numbers in shared memory: the last that were shown, of each place, whoever dies."""

from __future__ import annotations

import os

from ulproxy.shell import board as module
from ulproxy.shell.board import Board


def test_each_place_shows_its_own():
    board = Board(2)
    assert [board.read(0), board.read(1)] == [b"", b""]
    for data in (b"one", b"", b"a longer one"):
        board.show(1, data)
        assert [board.read(0), board.read(1)] == [b"", data]
    board.show(0, b"mine")
    board.clear(1)
    assert [board.read(0), board.read(1)] == [b"mine", b""]


def test_another_process_shows_it():
    board = Board(1)
    if not os.fork():
        board.show(0, b"from afar")
        os._exit(0)
    os.wait()
    assert board.read(0) == b"from afar"


def test_one_that_dies_while_it_writes_spoils_nothing(monkeypatch):
    board = Board(1)
    board.show(0, b"whole")
    monkeypatch.setattr(board, "_turns", [1])

    def die(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", die)
    for _ in range(2):
        try:
            board.show(0, b"half")
        except KeyboardInterrupt:
            assert board.read(0) == b"whole"


def test_what_has_no_room_is_not_shown(monkeypatch):
    monkeypatch.setattr(module, "ROOM", 16)
    board = Board(2)
    board.show(0, b"12345678")
    board.show(0, b"123456789")
    board.show(1, b"x")
    assert [board.read(0), board.read(1)] == [b"12345678", b"x"]


def test_what_changes_while_it_is_read_is_read_again(monkeypatch):
    board = Board(1)
    board.show(0, b"old")
    changes = [b"new", b"newer"]
    pread = os.pread

    def slow(*args):
        if changes:
            board.show(0, changes.pop(0))
        return pread(*args)

    monkeypatch.setattr(os, "pread", slow)
    assert board.read(0) == b"newer"
    changes += [b"a"] * 6
    assert board.read(0) == b""
