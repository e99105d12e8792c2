"""The ``pyctl`` command: start fast, end fast."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # its Python half, signal, is milliseconds
import _thread
import gc
import io
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run the command line and end the process. Never returns.

    The collector stays off (a short-lived process never earns its cost back) and interpreter teardown, which is
    dearer than most commands, is skipped; long-lived commands turn the collector on again.
    """
    try:
        gc.disable()
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # not where the shell has it ignored
            _signal.signal(_signal.SIGINT, interrupt)
        _open_what_is_closed()
        for stream in (sys.stdout, sys.stderr):
            # Names and logs are bytes to us: whatever the locale, they leave as they came.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before there was a command to interrupt, or after it
        code = 130
    os._exit(code)


def interrupt(_number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C as Python does, but not in the middle of Python's import system, where an exception may be lost, or
    leave a lock taken that every other thread then waits for: a moment later.
    """
    if frame is None or not frame.f_code.co_filename.startswith("<frozen importlib"):
        raise KeyboardInterrupt
    _thread.start_new_thread(_interrupt_soon, ())


def _interrupt_soon() -> None:
    time.sleep(0.001)
    os.kill(os.getpid(), _signal.SIGINT)


def run(argv: list[str]) -> int:
    """Run one command line and return its exit status, with everything flushed and every exit callback done."""
    from pyctl.cli.exit import run_callbacks

    try:
        from pyctl.cli.dispatch import run_command_line

        code = run_command_line(argv)
    except BrokenPipeError:
        # Whoever read our output is gone (`pyctl ps | head -1`); a Go program dies by SIGPIPE here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 141
    except KeyboardInterrupt:
        code = 130
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1 if stop.code else 0
    except BaseException as error:
        code = _report(error)
    run_callbacks()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = code or 141
    except OSError as error:  # a full disk behind a redirection must not look like success
        os.write(2, f"pyctl: cannot write the output: {error.strerror}\n".encode())
        code = code or 1
    return code & 0xFF


def _report(error: BaseException) -> int:
    try:
        from pyctl.cli.errors import report

        return report(error)
    except KeyboardInterrupt:
        return 130


def _open_what_is_closed() -> None:
    """A caller may have closed our standard streams (``pyctl ps >&-``): no socket of ours must take their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)


if __name__ == "__main__":
    main()
