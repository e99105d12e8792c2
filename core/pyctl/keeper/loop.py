"""A single-threaded event loop: descriptors and timers."""

from __future__ import annotations

import errno
import heapq
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[], None]


class Timer:
    """A call that will happen once, unless it is cancelled."""

    def __init__(self, call: Handler) -> None:
        self.call: Handler | None = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """Calls handlers when their descriptor is readable (or takes more), or at its end; level-triggered."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = 0

    def watch(self, fd: int, handler: Handler, *, until_writable: bool = False) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, select.EPOLLOUT if until_writable else select.EPOLLIN)

    def forget(self, fd: int) -> None:
        """Stop watching; call it before the descriptor is closed. Not watched is fine."""
        if self._handlers.pop(fd, None) is not None:
            try:
                self._poll.unregister(fd)
            except OSError as error:
                if error.errno not in (errno.EBADF, errno.ENOENT):
                    raise

    def later(self, delay_s: float, call: Handler) -> Timer:
        timer = Timer(call)
        self._serial += 1
        heapq.heappush(self._timers, (time.monotonic() + delay_s, self._serial, timer))
        return timer

    def turn(self, longest_s: float) -> bool:
        """Wait for something, at most so long, and handle it; False when nothing happened."""
        now = time.monotonic()
        wait_s = longest_s
        if self._timers:
            wait_s = min(wait_s, max(0.0, self._timers[0][0] - now))
        ready = self._poll.poll(wait_s, 64)
        # Looked up first: a handler may close another's descriptor, and its number may be taken again at once.
        calls = [(fd, self._handlers[fd]) for fd, _ in ready if fd in self._handlers]
        for fd, handler in calls:
            if self._handlers.get(fd) is handler:
                handler()
        acted = bool(calls)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                acted = True
                timer.call()
        return acted
