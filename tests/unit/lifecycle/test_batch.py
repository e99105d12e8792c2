"""One operation on many objects: all of them are tried, no more than so many at once, and the order is kept."""

from __future__ import annotations

import signal
import threading

import pytest

from pyctl.lifecycle.batch import in_batch


def test_results_come_in_the_order_of_the_items_whoever_is_done_first() -> None:
    second_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            assert second_is_done.wait(10)
        else:
            second_is_done.set()
        return item * 10

    assert list(in_batch(work, [1, 2, 3])) == [(1, 10), (2, 20), (3, 30)]


def test_one_failure_does_not_stop_the_rest() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    (_, one), (_, two), (_, three) = in_batch(work, [1, 2, 3])
    assert (one, three) == (1, 3)
    assert isinstance(two, ValueError)


def test_no_more_than_the_limit_work_at_once() -> None:
    lock = threading.Lock()
    meeting = threading.Barrier(2)
    working: list[int] = []
    most: list[int] = []

    def work(item: int) -> None:
        with lock:
            working.append(item)
            most.append(len(working))
        meeting.wait(10)
        with lock:
            working.remove(item)

    list(in_batch(work, range(8), limit=2))
    assert max(most) == 2


def test_a_single_item_is_worked_on_by_the_caller() -> None:
    assert list(in_batch(lambda _: threading.get_ident(), ["one"])) == [("one", threading.get_ident())]


def test_of_nothing_comes_nothing() -> None:
    assert list(in_batch(lambda item: item, [])) == []


def test_what_is_no_ordinary_error_is_raised_to_the_caller() -> None:
    def work(item: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_batch(work, [1, 2]))


def test_a_caller_who_turns_away_waits_for_what_was_begun() -> None:
    done: list[int] = []
    results = in_batch(done.append, range(20), limit=4)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert sorted(done) == list(range(20))


def test_an_interrupted_caller_begins_nothing_more_and_hurries_what_was_begun() -> None:
    begun: list[int] = []
    have_begun, go = threading.Barrier(3), threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        have_begun.wait()
        go.wait()

    def interrupt() -> None:
        have_begun.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        list(in_batch(work, range(20), limit=2, interrupt=go.set))
    assert sorted(begun) == [0, 1]
