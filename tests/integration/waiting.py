"""Waiting for what another process brings about, where nothing tells us of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def until(is_true: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Look, again and again, until it is so; AssertionError after ``limit_s``."""
    give_up = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < give_up, "it did not come true"
        threading.Event().wait(0.02)
