"""The log of one container: from its two pipes to its file, until both are at their end."""

from __future__ import annotations

import fcntl
import os
import signal

from .audience import Audience
from .jsonlines import LogFile, encode, encode_block, size_bytes, split, timestamp, whole_lines
from .spool import STREAMS, Spools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop
    from .spool import Spool

_PIECE = 1 << 17
_COPY_S = 2.0  # from the end of the process to its last words in the pipe, on a machine that is busy


def target(state_dir: str, container: str) -> tuple[str, int, int] | None:
    """Path, size limit and number of files from ``log-config.json``; None when nothing is to be kept.

    Raises:
        ValueError: the file is damaged, or an option is.
    """
    import json

    try:
        with open(f"{state_dir}/log-config.json", "rb") as file:
            config = json.loads(file.read())
    except FileNotFoundError:
        return None  # driver none, or the container is being removed
    if config.get("driver", "json-file") != "json-file":
        return None
    options = config.get("opts") or {}
    path = options.get("log-path") or f"{state_dir}/{container}-json.log"
    return path, size_bytes(options.get("max-size", "0")), max(1, int(options.get("max-file", "1")))


class ContainerLog:
    """Reads pipes when they have something, writes entries, and calls ``done`` once when all is written.

    Owns the descriptors it is given. ``holder`` is a pidfd of the process that keeps the pipes open for the case
    that this one dies; it is ended with the log, -1 for none.
    """

    def __init__(
        self,
        loop: Loop,
        state_dir: str,
        container: str,
        spool_dir: str,
        pipes: list[int],
        *,
        is_again: bool,
        has_terminal: bool,
        holder: int,
        note: Callable[[str], None],
        done: Callable[[], None],
    ) -> None:
        self._loop, self._note, self._done = loop, note, done
        self._holder = holder
        self._pipes = dict(zip(STREAMS, pipes, strict=False))
        # Of a terminal and into FIFOs the shim copies, and has not always done so when the process has ended.
        self._is_copied = has_terminal or any(_has_name(pipe) for pipe in pipes)
        self._idle_pipes = [self._pipes.pop("stderr")] if has_terminal and len(pipes) > 1 else []
        self._has_failed = False
        self.audience = Audience(loop)
        self._lock = self._open_lock(state_dir)
        self._spools = Spools(spool_dir)
        self._take_lock()
        self._log: LogFile | None = None
        try:
            found = target(state_dir, container)
            if found:
                if not found[0].startswith(f"{state_dir}/"):  # log-path: the user's directory, made as nerdctl makes it
                    os.makedirs(os.path.dirname(found[0]), mode=0o700, exist_ok=True)
                self._log = LogFile(found[0], max_size_bytes=found[1], max_files=found[2])
        except (OSError, ValueError) as error:
            note(f"{container}: output is not kept: {error}")
        self._recover(is_again)
        for stream, pipe in self._pipes.items():
            loop.watch(pipe, self._reader(stream))

    def _open_lock(self, state_dir: str) -> int:
        """``logger-lock``: who reads the log knows by it that more may come. -1 if there is no state directory."""
        try:
            return os.open(f"{state_dir}/logger-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return -1

    def _take_lock(self, tries: int = 50) -> None:
        """Readers look whether it is free by taking it for a moment, so once may not be enough."""
        if self._lock < 0:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if tries:
                self._loop.later(0.02, lambda: self._take_lock(tries - 1))
            else:
                self._note(f"{self._spools.directory}: logger-lock is held by somebody else")

    def _recover(self, is_again: bool) -> None:
        spools, log = self._spools, self._log
        if log and not spools.is_new and log.inode == spools.log_inode and log.size > spools.log_size:
            log.truncate(spools.log_size)  # written, perhaps torn, and not committed: it comes again from the spool
        for spool in spools.spools.values():
            if spool.pending:
                self._emit(spool, final=not is_again)
        self._commit()

    def _commit(self) -> None:
        if self._log:
            self._spools.commit(self._log.inode, self._log.size)
        else:
            self._spools.commit(0, 0)

    def _reader(self, stream: str) -> Callable[[], None]:
        def read() -> None:
            self._step(stream)  # one bounded piece, so that no container starves the others

        return read

    def _step(self, stream: str) -> bool:
        """Move one piece; False when there was nothing now, or never again."""
        if self._log is None:
            return self._discard(stream)
        try:
            return self._move(stream)
        except OSError as error:  # its directory is gone, for example: no reason to stop this container or the others
            self._note(f"{self._log.path}: {error}; output is no longer kept")
            self._log.close()
            self._log = None
            return stream in self._pipes

    def _move(self, stream: str) -> bool:
        pipe, spool = self._pipes[stream], self._spools.spools[stream]
        try:
            count = spool.pull(pipe)
        except BlockingIOError:
            self._spools.tidy(spool)
            return False
        except OSError as error:
            return self._read_plainly(stream, pipe, spool, error)
        if count == 0:
            self._end(stream)
            return False
        if self.audience:
            self.audience.hear(stream, spool.pending[-count:])
        self._emit(spool, final=False)
        self._spools.tidy(spool)
        return True

    def _read_plainly(self, stream: str, pipe: int, spool: Spool, error: OSError) -> bool:
        """Without a spool (its file system is full): a kill may lose this piece, but the container does not stall."""
        if not self._has_failed:
            self._note(f"{spool.directory}: {error}; going on without")
            self._has_failed = True
        data = os.read(pipe, 4096)  # a pipe that is readable has this or is at its end
        if not data:
            self._end(stream)
            return False
        self.audience.hear(stream, data)
        spool.pending += data
        self._emit(spool, final=True)
        spool.empty()
        self._commit()
        return True

    def _discard(self, stream: str) -> bool:
        if self.audience:
            return self._pass_on(stream)
        null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        try:
            count = os.splice(self._pipes[stream], null, _PIECE, None, None, os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return False
        finally:
            os.close(null)
        if count == 0:
            self._end(stream)
        return count > 0

    def _pass_on(self, stream: str) -> bool:
        """Nothing is kept, and somebody listens."""
        os.set_blocking(self._pipes[stream], False)
        try:
            data = os.read(self._pipes[stream], _PIECE)
        except BlockingIOError:
            return False
        if not data:
            self._end(stream)
            return False
        self.audience.hear(stream, data)
        return True

    def _emit(self, spool: Spool, *, final: bool) -> None:
        """Write what is complete and commit."""
        self._emit_block(spool)
        entries = split(spool.pending, final=final)
        if not entries:
            return
        if self._log is None:
            spool.take(sum(map(len, entries)))
        elif self._log.max_size_bytes:
            self._emit_slowly(spool, entries)
        else:
            self._append(encode(entries, spool.stream, timestamp()))
            spool.take(sum(map(len, entries)))
            self._commit()

    def _emit_block(self, spool: Spool) -> None:
        """The usual case, fast: whole lines that go into the current file."""
        size = whole_lines(spool.pending)
        if not size or self._log is None:
            return
        data = encode_block(spool.pending[:size], spool.stream, timestamp())
        if data is None or (self._log.max_size_bytes and self._log.size + len(data) >= self._log.max_size_bytes):
            return
        self._append(data)
        spool.take(size)
        self._commit()

    def _emit_slowly(self, spool: Spool, entries: list[bytes]) -> None:
        """Entry by entry, with rotation in between; each commit says exactly how far this is."""
        log = self._log
        assert log is not None
        when = timestamp()
        for entry in entries:
            if log.is_full:
                self._commit()  # so that a kill among the renames does not write the last piece again
                log.rotate()
                self._commit()
            self._append(encode([entry], spool.stream, when))
            spool.take(len(entry))
        self._commit()

    def _append(self, data: bytes) -> None:
        assert self._log is not None
        try:
            self._log.append(data)
        except OSError as error:  # as in Docker, output is lost rather than the container stopped
            if not self._has_failed:
                self._note(f"{self._log.path}: {error}; output is lost")
                self._has_failed = True

    def _end(self, stream: str) -> None:
        self._loop.forget(self._pipes[stream])
        os.close(self._pipes.pop(stream))
        self._emit(self._spools.spools[stream], final=True)
        if not self._pipes:
            self.close()

    def drain(self) -> None:
        """The container's processes are gone. What the shim copies ends by itself soon, or it is not waited for."""
        if self._is_copied:
            self._loop.later(_COPY_S, self.finish)
        else:
            self.finish()

    def finish(self) -> None:
        """Take what the pipes still hold, and end; again is fine."""
        for stream in list(self._pipes):
            while stream in self._pipes and self._step(stream):
                pass
        for stream in list(self._pipes):
            self._end(stream)

    def let_go(self) -> None:
        """Stop here and keep everything as it is: the same pipes come again from their holder."""
        self._release(remove=False)

    def close(self) -> None:
        """The end of this log: the lock is free and the holder is ended."""
        self._release(remove=True)
        if self._holder >= 0:
            try:
                signal.pidfd_send_signal(self._holder, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(self._holder)
            self._holder = -1
        self._done()

    def _release(self, *, remove: bool) -> None:
        for pipe in self._pipes.values():
            self._loop.forget(pipe)
            os.close(pipe)
        self._pipes.clear()
        for pipe in self._idle_pipes:
            os.close(pipe)
        self._idle_pipes.clear()
        self.audience.close()
        self._spools.close(remove=remove)
        if self._log:
            self._log.close()
            self._log = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _has_name(pipe: int) -> bool:
    """Is it a FIFO in the file system, or was it?"""
    return not os.readlink(f"/proc/self/fd/{pipe}").startswith("pipe:")
