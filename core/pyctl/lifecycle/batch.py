"""The same operation on several objects at once, with a bound; one failure does not stop the rest."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    T = TypeVar("T")
    R = TypeVar("R")

LIMIT = 8  # more at once only queue behind containerd's database lock


def in_batch(
    work: Callable[[T], R], items: Sequence[T], *, limit: int = LIMIT, interrupt: Callable[[], None] | None = None
) -> Iterator[tuple[T, R | Exception]]:
    """Yield (item, result or error) in the order of ``items``, each as soon as it and those before it are done.

    One item runs in the calling thread, so a single container costs no thread. At Ctrl-C nothing more is begun, and what
    was is waited for, once ``interrupt`` has told it to hurry.
    """
    if len(items) == 1:
        yield items[0], _caught(work, items[0])
        return
    import threading  # concurrent.futures would do, for 23 ms of import

    from pyctl.lifecycle.threads import BatchThread

    numbers = iter(range(len(items)))  # shared by the workers: taking the next one is a single step of the interpreter
    outcomes: dict[int, R | Exception] = {}
    crashes: dict[int, BaseException] = {}
    finished = [threading.Event() for _ in items]

    def labour() -> None:
        for number in numbers:
            try:
                outcomes[number] = _caught(work, items[number])
            except BaseException as error:  # raised where the results are read
                crashes[number] = error
            finally:
                finished[number].set()

    workers = [BatchThread(target=labour) for _ in range(min(limit, len(items)))]
    try:
        for worker in workers:
            worker.start()
        for number, item in enumerate(items):
            while not finished[number].wait(1.0):
                pass  # a signal that comes in the moment before a wait begins does not end it
            if number in crashes:
                raise crashes[number]
            yield item, outcomes[number]
    except KeyboardInterrupt:
        for _ in numbers:
            pass
        if interrupt is not None:
            interrupt()
        raise
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.join()


def _caught(work: Callable[[T], R], item: T) -> R | Exception:
    try:
        return work(item)
    except Exception as error:
        return error
