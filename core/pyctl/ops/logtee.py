"""A foreground container's log: written by the command that shows the output, in the format the keeper writes."""

from __future__ import annotations

from pyctl.keeper.jsonlines import LogFile, encode, split, timestamp
from pyctl.state.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.logging import LogRoute


class LogTee:
    """Call it with every chunk; holds ``logger-lock``, so that ``logs -f`` knows when the log is complete."""

    def __init__(self, state_dir: str, route: LogRoute) -> None:
        self._lock = Lock(f"{state_dir}/logger-lock")
        self._file = LogFile(route.log_path, max_size_bytes=route.max_size_bytes, max_files=route.max_files)
        self._pending = {"stdout": b"", "stderr": b""}

    def __call__(self, stream: str, chunk: bytes) -> None:
        data = self._pending[stream] + chunk
        entries = split(data, final=False)
        self._pending[stream] = data[sum(map(len, entries)) :]
        self._write(entries, stream)

    def close(self) -> None:
        """Write what waits for the rest of its line, and let the lock go."""
        for stream, data in self._pending.items():
            self._write(split(data, final=True), stream)
        self._pending = {"stdout": b"", "stderr": b""}
        self._file.close()
        self._lock.release()

    def _write(self, entries: list[bytes], stream: str) -> None:
        if entries:
            self._file.append(encode(entries, stream, timestamp()))
            if self._file.is_full:
                self._file.rotate()
