"""From a gRPC status code to one of our errors: the only place that knows the codes.

Only the code decides; the daemon's text is shown to people and never looked into.
"""

from __future__ import annotations

from pyctl_hookspecs.errors import (
    CancelledError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    PyctlError,
    UnavailableError,
    UnsupportedError,
)

CANCELLED = 1
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
FAILED_PRECONDITION = 9
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
UNAVAILABLE = 14

_CLASSES: dict[int, type[PyctlError]] = {
    CANCELLED: CancelledError,
    INVALID_ARGUMENT: InvalidArgumentError,
    DEADLINE_EXCEEDED: UnavailableError,
    ALREADY_EXISTS: ConflictError,
    FAILED_PRECONDITION: ConflictError,
    OUT_OF_RANGE: InvalidArgumentError,
    UNIMPLEMENTED: UnsupportedError,
    UNAVAILABLE: UnavailableError,
}


class AlreadyExistsError(ConflictError):
    """Somebody made it before us: for "create if missing" that is success."""


def error_for(code: int, detail: str, *, kind: str = "object", ref: str = "") -> PyctlError:
    """The error to raise for a status code. ``kind`` and ``ref`` say what the call was about."""
    message = detail or f"containerd answered with status {code} and no reason"
    if code == NOT_FOUND:
        return NotFoundError(kind, ref, message=message)
    if code == ALREADY_EXISTS:
        return AlreadyExistsError(message)
    return _CLASSES.get(code, PyctlError)(message)
