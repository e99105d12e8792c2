"""What the user sees of an error: one line each, a hint where one helps, the chain with ``--debug``."""

from __future__ import annotations

import sys

from pyctl_hookspecs.errors import CancelledError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = (130, 143)  # SIGINT, SIGTERM
_style = {"format": "text", "debug": ""}


def set_style(*, errors_format: str, debug: bool) -> None:
    """How errors of this process are printed from now on."""
    _style["format"], _style["debug"] = errors_format, "yes" if debug else ""


def report(error: BaseException) -> int:
    """Print an error (each member of a group) on standard error and return the exit status it asks for.

    What is no ``PyctlError`` is a bug: one line without ``--debug``, a traceback with it, and exit status 125. Of several
    errors the first decides the status, unless somebody interrupted: that shows in any case.
    """
    import contextlib

    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    told = {(type(one), str(one)): one for one in _members(error)}  # an interrupt ends several steps with one word
    codes = [_report_one(one) for one in told.values()]
    if _style["debug"]:
        import traceback

        traceback.print_exception(error)
    return next((code for code in codes if code in INTERRUPTED), codes[0])


def _members(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _members(one)
    else:
        yield error


def _report_one(error: BaseException) -> int:
    from pyctl.cli.flags import UsageError

    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, PyctlError):
        message, hint = str(error), error.hint
        code = 130 if isinstance(error, CancelledError) and error.exit_code == 1 else error.exit_code
        see = f"See '{error.command} --help'." if isinstance(error, UsageError) and error.command else ""
    elif isinstance(error, OSError) and error.strerror:  # the machine's trouble, not a bug: no space, no permission
        name = f"{error.filename}: " if error.filename else ""
        message, hint, code, see = f"{name}{error.strerror.lower()}", "", 125, ""
    else:
        message, hint, code, see = _describe_bug(error), "run it again with --debug and report what it prints", 125, ""
    if _style["format"] == "json":
        import json

        fields = {
            "code": getattr(error, "code", "internal") if isinstance(error, PyctlError) else "internal",
            "step": getattr(error, "step", ""),
            "object": str(getattr(error, "ref", "")),
            "cause": message,
            "hint": hint.strip(),
        }
        sys.stderr.write(json.dumps(fields, ensure_ascii=False) + "\n")
        return code
    # A message that begins with the quoted command is Docker's argument-count text, which has no prefix there either.
    sys.stderr.write(message if message.startswith('"pyctl') else f"pyctl: {message}")
    sys.stderr.write("\n")
    for line in (see, hint):
        if line:
            sys.stderr.write(line + "\n")
    return code


def _describe_bug(error: BaseException) -> str:
    place = ""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "?")
        place = f" ({module}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"internal error: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}{place}"
