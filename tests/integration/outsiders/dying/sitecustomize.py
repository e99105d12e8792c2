"""A pyctl that dies while it undoes: ``PYCTL_DIE=PROVIDER`` before that step's undo, ``sent`` while a task is deleted."""

import os
import signal

import pyctl.containerd.unix_transport as transport
import pyctl.ops.undo as undo

_wanted = os.environ["PYCTL_DIE"]
_undoer = undo.undoer
_call = transport.UnixTransport._call


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def undoer(session):
    inner = _undoer(session)

    def undo_or_die(provider: str, token: str) -> None:
        if provider == _wanted:
            _die()
        inner(provider, token)

    return undo_or_die


def call(self, method, *arguments):
    begun = _call(self, method, *arguments)
    if _wanted == "sent" and method.endswith("Tasks/Delete"):
        _die()
    return begun


undo.undoer = undoer
transport.UnixTransport._call = call
