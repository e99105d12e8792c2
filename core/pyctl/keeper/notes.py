"""``keeper.log``: what went wrong, for people to read."""

from __future__ import annotations

import errno
import os
import time

_NOTES_LIMIT = 1 << 20


class Notes:
    """Bounded to two files."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def fd(self) -> int:
        """Open for appending; children write their errors here too."""
        if self._fd >= 0 and os.fstat(self._fd).st_size > _NOTES_LIMIT:
            os.rename(self._path, f"{self._path}.1")
            os.close(self._fd)
            self._fd = -1
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return self._fd

    def write(self, message: str) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            os.write(self.fd(), f"{when} {message}\n".encode(errors="replace"))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.ENOENT):
                raise
