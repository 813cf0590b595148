"""What a viewer wants and has missed: nothing is lost between threads, and nobody wakes in vain."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from vgaemu.display.rects import MAX_RECTS
from vgaemu.display.report import Rect
from vgaemu.view.wants import MAX_FRAMES, Order, Wants

SCREEN = Rect(0, 0, 640, 400)
HANG_SECONDS = 5.0


def row(y: int) -> Rect:
    return Rect(0, y, 640, 1)


def waiting(wants: Wants, take: Callable[[Order], bool]) -> threading.Thread:
    """A sender: takes orders until it has had enough, or the viewer has gone."""

    def run() -> None:
        while (order := wants.wait()) is not None and take(order):
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def until_it_sleeps(wants: Wants) -> None:
    hang = threading.Event()
    for _ in range(int(HANG_SECONDS * 1000)):
        if wants._sleeps:
            return
        hang.wait(0.001)
    pytest.fail("it never sleeps")


@pytest.mark.parametrize("continuous", [False, True], ids=["asks", "lets come"])
def test_each_row_that_was_drawn_is_in_some_order(continuous: bool):
    wants, seen, last = Wants(lambda: True), set[int](), 3999

    def take(order: Order) -> bool:
        seen.update(y for rect in order.dirty for y in range(rect.y, rect.y + rect.height))
        if not continuous:
            wants.ask(Rect(0, 0, 640, 4000), incremental=True)
        return last not in seen

    if continuous:
        wants.let_come(Rect(0, 0, 640, 4000))
    else:
        wants.ask(Rect(0, 0, 640, 4000), incremental=True)
    sender = waiting(wants, take)
    for y in range(last + 1):
        wants.note([row(y)])
        if y % 500 == 0:
            until_it_sleeps(wants)  # and is woken by the next one
    sender.join(HANG_SECONDS)
    assert not sender.is_alive(), "the last one woke nobody"
    assert seen == set(range(last + 1))


def test_what_is_drawn_while_it_falls_asleep_wakes_it():
    def is_ready() -> bool:
        """Asked when it has looked at what was drawn, and before it sleeps."""
        if not looks:
            wants.note([row(7)])
        looks.append(True)
        return True

    looks: list[bool] = []
    orders: list[Order] = []
    wants = Wants(is_ready)
    wants.let_come(SCREEN)
    sender = waiting(wants, lambda order: bool(orders.append(order)))
    sender.join(HANG_SECONDS)
    assert [order.dirty for order in orders] == [[row(7)]]


def test_who_wants_nothing_is_not_woken_and_keeps_little():
    wants = Wants(lambda: True)
    orders: list[Order] = []
    sender = waiting(wants, lambda order: bool(orders.append(order)))
    until_it_sleeps(wants)
    for i in range(20 * MAX_FRAMES):
        wants.note([row(i * 7 % 400)])
        assert len(wants._drawn) <= MAX_FRAMES
        assert wants._sleeps
    assert wants._bell.empty()
    wants.ask(SCREEN, incremental=True)
    sender.join(HANG_SECONDS)
    (order,) = orders
    assert len(order.dirty) <= MAX_RECTS
    rows = {y for rect in order.dirty for y in range(rect.y, rect.y + rect.height)}
    assert rows >= {i * 7 % 400 for i in range(20 * MAX_FRAMES)}


def test_between_an_update_and_the_answer_to_its_fence_nobody_wakes():
    wants = Wants(lambda: True)
    orders: list[Order] = []
    wants.let_come(SCREEN)
    assert wants.await_fence(b"behind")
    sender = waiting(wants, lambda order: bool(orders.append(order)))
    until_it_sleeps(wants)
    wants.note([row(1)])
    assert wants._sleeps
    assert wants._bell.empty()
    wants.take_fence(b"another")
    assert not orders
    wants.take_fence(b"behind")
    sender.join(HANG_SECONDS)
    assert [order.dirty for order in orders] == [[row(1)]]


def test_whoever_asks_without_end_leaves_nothing_behind():
    wants = Wants(lambda: False)
    sender = waiting(wants, lambda order: False)
    until_it_sleeps(wants)
    for _ in range(1000):
        wants.ask(SCREEN, incremental=False)
    assert wants._bell.qsize() <= 2
    wants.finish()
    sender.join(HANG_SECONDS)
    assert not sender.is_alive()
