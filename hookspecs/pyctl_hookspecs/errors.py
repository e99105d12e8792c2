"""Errors that cross the hooks: classes follow what a caller would do, facts travel as fields."""

from __future__ import annotations


class PyctlError(Exception):
    """Shown to the user as one line, without a traceback.

    ``exit_code`` is what the command ends with (Docker's: 125 pyctl or the daemon, 126 cannot be
    invoked, 127 not found, 1 otherwise); ``code`` is the word machine readers switch on.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code


class InvalidArgumentError(PyctlError):
    """What was asked for is malformed or contradicts itself; trying again will not help."""

    code = "invalid_argument"


class NotFoundError(PyctlError):
    """The object does not exist. ``kind`` is Docker's word (container, image, volume, network)."""

    code = "not_found"

    def __init__(self, kind: str, ref: str, *, hint: str = "", message: str = "", exit_code: int = 1) -> None:
        super().__init__(message or f"No such {kind}: {ref}", hint=hint, exit_code=exit_code)
        self.kind, self.ref = kind, ref


class ConflictError(PyctlError):
    """The object exists, is in use, or is in a state that forbids what was asked."""

    code = "conflict"


class UnavailableError(PyctlError):
    """Nobody answered, or not in time; safe to try again."""

    code = "unavailable"


class UnsupportedError(PyctlError):
    """Known, but not done yet or not possible here. Never raised for what can be ignored safely."""

    code = "unsupported"


class CancelledError(PyctlError):
    """The user interrupted the work (Ctrl-C, SIGTERM); what was begun is undone."""

    code = "cancelled"
