"""A disk with room for a few bytes more."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable


def writer(room: int) -> Callable[[int, bytes], int]:
    """``os.write`` on such a disk: it takes a part, as the kernel does, and then nothing."""
    left, real = room, os.write

    def write(file: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = real(file, bytes(data)[:left])
        left -= taken
        return taken

    return write
