"""``--init``: a small init of the machine's, mounted into the container, that reaps and forwards signals."""

from __future__ import annotations

import os

from pyctl.spec.units import refuse

# Static ones first: a dynamic tini does not start in an image with another libc, or none.
_CANDIDATES = ("docker-init", "tini-static", "catatonit", "tini")


def find_init(binary: str, *, path: str | None = None) -> tuple[str, str]:
    """The machine's init and where it appears in the container; ``binary`` empty: the usual ones.

    Raises:
        InvalidArgumentError: none in PATH.
    """
    directories = (os.environ.get("PATH", os.defpath) if path is None else path).split(":")
    for name in (binary,) if binary else _CANDIDATES:
        places = (name,) if "/" in name else [os.path.join(directory, name) for directory in directories if directory]
        for place in places:
            if os.path.isfile(place) and os.access(place, os.X_OK):
                return os.path.abspath(place), f"/sbin/{os.path.basename(name) if binary else 'docker-init'}"
    return refuse(f"init binary {binary or 'tini'} not found in PATH")
