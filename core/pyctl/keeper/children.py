"""Short-lived pyctl processes the keeper starts: at most a few at a time, each with a time limit."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop, Timer

    Done = Callable[[int, bytes], None]

AT_ONCE = 4
LIMIT_S = 300.0
_OUTPUT_LIMIT = 65536


class Job:
    """A process that was asked for. ``pid`` is 0 and ``kill`` does nothing while it is queued."""

    def __init__(self, argv: list[str], env: dict[str, str], done: Done) -> None:
        self.argv, self.env, self.done = argv, env, done
        self.pid = 0
        self.kill: Callable[[], None] = lambda: None
        self.is_over = False
        self.on_end: list[Callable[[], None]] = []


class Children:
    """``run`` queues a process; ``done(exit_code, stdout)`` is called when it has ended, with -1 if it never began."""

    def __init__(self, loop: Loop, errors: Callable[[], int]) -> None:
        self._loop = loop
        self._errors = errors
        self._queue: list[Job] = []
        self._running = 0

    @property
    def count(self) -> int:
        return self._running + len(self._queue)

    def run(self, argv: list[str], env: dict[str, str], done: Done) -> Job:
        job = Job(argv, env, done)
        self._queue.append(job)
        self._fill()
        return job

    def drop(self, job: Job) -> None:
        """Take back one that has not begun; for any other this does nothing."""
        if job in self._queue:
            self._queue.remove(job)
            job.is_over = True

    def _fill(self) -> None:
        while self._queue and self._running < AT_ONCE:
            self._start(self._queue.pop(0))

    def _start(self, job: Job) -> None:
        def ended(code: int, output: bytes) -> None:
            self._running -= 1
            job.is_over = True
            job.done(code, output)
            for call in job.on_end:
                call()
            self._fill()

        self._running += 1
        try:
            child = _Child(self._loop, job.argv, job.env, self._errors(), ended)
        except OSError as error:
            message = f"{job.argv[0]}: {error.strerror}".encode()
            self._loop.later(0.0, lambda: ended(-1, message))
        else:
            job.pid, job.kill = child.pid, child.kill


class _Child:
    def __init__(self, loop: Loop, argv: list[str], env: dict[str, str], errors: int, done: Done) -> None:
        self._loop, self._done = loop, done
        self._output = b""
        reader, writer = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, errors, 2)]
            self.pid = os.posix_spawn(argv[0], argv, env, file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE])
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(null)
            os.close(writer)
        self._reader = reader
        os.set_blocking(reader, False)
        self._pidfd = os.pidfd_open(self.pid)
        loop.watch(reader, self._read)
        loop.watch(self._pidfd, self._exited)
        self._limit: Timer = loop.later(LIMIT_S, self.kill)

    def kill(self) -> None:
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _read(self) -> None:
        try:
            data = os.read(self._reader, 65536)
        except BlockingIOError:
            return
        if data:
            self._output = (self._output + data)[-_OUTPUT_LIMIT:]
        else:
            self._loop.forget(self._reader)

    def _exited(self) -> None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return
        self._limit.cancel()
        while True:  # what it printed last; a grandchild that keeps the pipe open is not waited for
            try:
                data = os.read(self._reader, 65536)
            except BlockingIOError:
                break
            if not data:
                break
            self._output = (self._output + data)[-_OUTPUT_LIMIT:]
        for fd in (self._reader, self._pidfd):
            self._loop.forget(fd)
            os.close(fd)
        self._done(os.waitstatus_to_exitcode(status), self._output)
