"""Which pyctl this is."""

from __future__ import annotations

DISTRIBUTION = "pyctl-containerd"


def version() -> str:
    """The installed distribution's version."""
    from importlib.metadata import PackageNotFoundError, version  # 27 ms; only where somebody asks

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"


def version_line() -> str:
    return f"pyctl version {version()}\n"
