"""Asking before something is deleted."""

from __future__ import annotations

import sys


def confirm(warning: str) -> bool:
    """Docker's question; anything but ``y`` is a no, and so is the end of input."""
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() == "y"
