"""Who is attached to a container: pipes that get a copy of its output while it is logged."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .loop import Loop

_LIMIT = 4 << 20  # a listener that is this far behind is let go; the container never waits for one
_AGAIN_S = 0.01


class Audience:
    """The listeners of one container. Owns their descriptors."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._listeners: dict[int, tuple[str, bytes]] = {}  # descriptor -> stream, what it has not taken yet

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, stream: str, fd: int) -> None:
        os.set_blocking(fd, False)
        self._listeners[fd] = (stream, b"")

    def hear(self, stream: str, data: bytes) -> None:
        """Pass a piece of output on; one who has gone away or sleeps is forgotten."""
        for fd, (wanted, waiting) in list(self._listeners.items()):
            if wanted == stream:
                self._offer(fd, wanted, waiting + data, is_new=not waiting)

    def _offer(self, fd: int, stream: str, data: bytes, *, is_new: bool) -> None:
        try:
            while data:
                data = data[os.write(fd, data) :]
        except BlockingIOError:
            if len(data) > _LIMIT:
                self._drop(fd)
                return
            if is_new:
                self._loop.later(_AGAIN_S, lambda: self._again(fd))
        except OSError:
            self._drop(fd)
            return
        self._listeners[fd] = (stream, data)

    def _again(self, fd: int) -> None:
        stream, waiting = self._listeners.get(fd, ("", b""))
        if waiting:
            self._offer(fd, stream, waiting, is_new=True)

    def _drop(self, fd: int) -> None:
        del self._listeners[fd]
        os.close(fd)

    def close(self) -> None:
        """The output is at its end, and so are the listeners' pipes."""
        for fd in list(self._listeners):
            self._drop(fd)
