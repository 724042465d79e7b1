"""The mailbox between two threads: order, end, failure and abandoning."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from vidbg.util.mailbox import Abandoned, Mailbox


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_items_arrive_in_order_through_a_small_box() -> None:
    box: Mailbox[int] = Mailbox(2)

    def fill() -> None:
        for item in range(100):
            box.put(item)
        box.close()

    thread = in_thread(fill)
    assert list(box) == list(range(100))
    assert box.dropped == 0
    thread.join(5)


def test_newest_drops_the_oldest_and_counts() -> None:
    box: Mailbox[int] = Mailbox(1, newest=True)
    for item in range(5):
        box.put(item)
    box.close()
    assert list(box) == [4]
    assert box.dropped == 4


def test_an_error_comes_after_the_items_before_it() -> None:
    box: Mailbox[int] = Mailbox(3)
    box.put(1)
    box.close(ValueError("broken"))
    items = iter(box)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_abandoning_wakes_a_waiting_putter() -> None:
    box: Mailbox[int] = Mailbox(1)
    box.put(1)
    received: list[str] = []

    def put() -> None:
        try:
            box.put(2)
        except Abandoned:
            received.append("abandoned")

    thread = in_thread(put)
    box.abandon()
    thread.join(5)
    assert received == ["abandoned"]


def test_abandoning_wakes_a_waiting_taker() -> None:
    box: Mailbox[int] = Mailbox(1)
    threading.Timer(0.05, box.abandon).start()
    with pytest.raises(Abandoned):
        next(iter(box))
