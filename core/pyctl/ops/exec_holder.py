"""Whoever started an ``exec`` may leave or be killed: then its output is read and thrown away, as in Docker.

Without a reader the process would stop once its pipes are full. A shell that waits for our end holds them: it costs a
tenth of a megabyte while the command lives, and takes the FIFOs away when it goes. It is there before the process is
started: a shim that finds no reader waits for one for half a minute, and every end of the container waits with it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.starting import TaskStreams

_OUT, _ERR, _US = 3, 4, 5
_SHIM_WAITS_S = 30
# A first line says that the process was started, a second that we are done ourselves; an end instead that we are gone. Before
# the start the pipes have no writer, and would be at their end: so the shim is waited for, as long as it may still come.
_SCRIPT = (
    f"""read -r line <&5 || timeout {_SHIM_WAITS_S + 1} sh -c ': <"$0"; : <"$1"' "$1" "$2"; """
    'read -r line <&5 && exit; exec 5<&-; rm -rf "$0"; cat <&4 >/dev/null & exec cat <&3 >/dev/null'
)


class ExecHolder:
    """Holds the outputs of a process that is about to be started, until ``release`` or the death of this process."""

    def __init__(self, streams: TaskStreams) -> None:
        # Openings of its own: whether one blocks is a property of the opening, and our own ends do not.
        pipes = [os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) for path in _outputs(streams)]
        reader, self._writer = os.pipe2(os.O_CLOEXEC)
        ends = (*pipes, reader)
        # Moved out of the way first: one of ours may have the number another one has to get.
        high = [os.dup2(descriptor, 100 + index, inheritable=False) for index, descriptor in enumerate(ends)]
        try:
            for pipe in pipes:
                os.set_blocking(pipe, True)
            actions = [
                *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)),
                *((os.POSIX_SPAWN_DUP2, source, target) for source, target in zip(high, (_OUT, _ERR, _US), strict=True)),
            ]
            argv = ["sh", "-c", _SCRIPT, streams.directory, *_outputs(streams)]
            self._pid = os.posix_spawn("/bin/sh", argv, {"PATH": os.defpath}, file_actions=actions, setsid=True)
        except BaseException:
            os.close(self._writer)
            raise
        finally:
            for descriptor in (*ends, *high):
                os.close(descriptor)

    def started(self) -> None:
        """The shim has opened the outputs."""
        os.write(self._writer, b"\n")

    def release(self) -> None:
        """The outputs are at their end, or nobody needs them any more."""
        os.write(self._writer, b"\n\n")
        os.close(self._writer)
        os.waitpid(self._pid, 0)

    def leave(self) -> None:
        """From now on the outputs are the holder's, and the FIFOs, too."""
        os.close(self._writer)


def _outputs(streams: TaskStreams) -> tuple[str, str]:
    return streams.stdout, streams.stderr or os.devnull
