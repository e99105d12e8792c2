"""A FIFO that a program under test waits at."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path


def open_gate(path: Path) -> int:
    """The writing end of a FIFO, once somebody reads it."""
    give_up = time.monotonic() + 20
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO and time.monotonic() < give_up, "nobody reads"
            time.sleep(0.01)
