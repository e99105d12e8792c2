"""Threads that know what they are for."""

from __future__ import annotations

import threading


class BatchThread(threading.Thread):
    """One of several that do the same to different objects: what it does, it does alone.

    More threads would only wait for the interpreter: 30 removals took a sixth longer with one for each step.
    """
