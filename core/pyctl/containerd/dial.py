"""Before dialling: is there a socket, may we open it, does anybody answer?

gRPC says "failed to connect to all addresses" for all of these; people need to know which one it is.
"""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError, UnavailableError


def socket_path(address: str) -> str:
    """The absolute path in a containerd address (``/run/x.sock`` or ``unix:///run/x.sock``).

    Raises:
        InvalidArgumentError: anything else; containerd listens on a Unix socket.
    """
    path = address
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        while path.startswith("//"):
            path = path[1:]
    if not path.startswith("/"):
        raise InvalidArgumentError(f'invalid containerd address "{address}": it must be the path of a Unix socket')
    return path


def server_pid(address: str) -> int:
    """The process that listens at an address; 0 if it is none of this process namespace, or takes no connection now."""
    import _socket
    import struct

    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        probe.connect(socket_path(address))
        pid: int = struct.unpack("3i", probe.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))[0]
        return pid
    except OSError:
        return 0
    finally:
        probe.close()


def check(address: str) -> str:
    """Connect once and hang up; return the socket's path.

    Raises:
        UnavailableError: names the path, the reason and the remedy.
    """
    import _socket  # the C half is enough and costs nothing; socket is 11 ms
    import os
    import stat

    path = socket_path(address)
    try:
        mode = os.stat(path).st_mode
    except PermissionError:
        raise _denied(path) from None
    except (FileNotFoundError, NotADirectoryError):
        raise UnavailableError(
            f"cannot connect to containerd at {path}: the socket does not exist",
            hint="is containerd running? start it, or name another socket with --address (CONTAINERD_ADDRESS)",
        ) from None
    if not stat.S_ISSOCK(mode):
        raise UnavailableError(
            f"cannot connect to containerd at {path}: not a socket",
            hint="name containerd's socket with --address (CONTAINERD_ADDRESS)",
        )
    # Non-blocking, because a daemon that is stopped or swamped leaves us waiting in its full queue.
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
    except PermissionError:
        raise _denied(path) from None
    except BlockingIOError:
        raise UnavailableError(
            f"cannot connect to containerd at {path}: it does not accept connections (its queue is full)",
            hint="is the daemon stopped or overloaded? look at its log",
        ) from None
    except OSError as error:
        raise UnavailableError(
            f"cannot connect to containerd at {path}: nobody answers ({error.strerror})",
            hint="the socket was left behind by a daemon that is gone; start containerd again",
        ) from None
    finally:
        probe.close()
    return path


def _denied(path: str) -> UnavailableError:
    return UnavailableError(
        f"cannot connect to containerd at {path}: permission denied",
        hint="run as root, or as a user who may open this socket",
    )
