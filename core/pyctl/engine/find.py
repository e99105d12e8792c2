"""Which containerd a command talks to: the one that was named, the system's, or our own."""

from __future__ import annotations

from pyctl.engine.places import Settings, places
from pyctl_hookspecs.records import Record


class Found(Record):
    """A daemon. ``notices`` are lines for people, on standard error; ``is_managed`` says that it is ours."""

    address: str
    is_managed: bool = False
    notices: tuple[str, ...] = ()


def find(settings: Settings) -> Found:
    """The daemon for somebody who named none: the default address if anybody answers there, else our own engine.

    Starts our engine if it is not running, which the notices say.

    Raises:
        UnavailableError: nobody answers, and no engine of ours can be started; says what to install.
    """
    if not is_vacant(settings.address):
        return Found(address=settings.address)
    ours = places(settings)
    if not is_vacant(ours.address):
        return Found(address=ours.address, is_managed=True)
    from pyctl.engine import managed  # starting a process is the rare case

    started = managed.start(settings)
    notice = f"no containerd on {settings.address}: started one of our own (pyctl system status shows it)"
    return Found(address=started.address, is_managed=True, notices=(notice,) if started.was_started else ())


def is_vacant(path: str) -> bool:
    """Is there nobody behind this socket? One that we may not open, or that is busy, has somebody behind it."""
    import _socket

    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return True
    except OSError:
        return False  # permission, a full queue: somebody is there, and the client explains these better
    finally:
        probe.close()
    return False
