"""What is remembered, and that it does not become more and more."""

from __future__ import annotations

from ulproxy.pdu.memo import MAX_REMEMBERED, Memo


def test_what_was_put_is_there():
    memo = Memo[bytes, str]()
    assert memo.get(b"1") is None
    memo.put(b"1", "one")
    assert memo.get(b"1") == "one"


def test_the_oldest_makes_room():
    memo = Memo[int, str]()
    for number in range(MAX_REMEMBERED + 1):
        memo.put(number, "kept")
    assert memo.get(0) is None
    assert all(memo.get(number) for number in range(1, MAX_REMEMBERED + 1))
