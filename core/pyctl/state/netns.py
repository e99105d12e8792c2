"""Network namespaces that outlive processes: made in a short-lived thread, pinned at a path by a bind mount."""

from __future__ import annotations

import _thread
import fcntl
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_MNT_DETACH = 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def create(path: str) -> bool:
    """Make a network namespace with loopback up and pin it at ``path``; False when one is pinned there already.

    No process and no other thread changes its namespace. The directory is made, and becomes a shared mount of its
    own, so that shims in another mount namespace see the pin come and go.

    Raises:
        PermissionError: not root (nor its like in a user namespace).
        OSError: the kernel refused; nothing is pinned.
    """
    if is_pinned(path):
        return False
    _share_directory(os.path.dirname(path))
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))
    try:
        _in_thread(lambda: _make_here(path))
    except BaseException:
        os.unlink(path)
        raise
    return True


def keep(path: str, pid: int) -> None:
    """Pin the network namespace a process has at ``path``, instead of another one that may be there.

    Raises:
        OSError: the process is gone, or the kernel refused.
    """
    import ctypes

    theirs = f"/proc/{pid}/ns/net"
    if is_pinned(path) and os.path.samestat(os.stat(path), os.stat(theirs)):
        return
    release(path)
    _share_directory(os.path.dirname(path))
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))
    if _libc().mount(os.fsencode(theirs), os.fsencode(path), b"none", _MS_BIND, None) != 0:
        error = ctypes.get_errno()
        os.unlink(path)
        raise OSError(error, os.strerror(error), path)


def is_pinned(path: str) -> bool:
    """Does a network namespace live at this path? (A mere file is what a reboot leaves on a persistent /run.)"""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def release(path: str) -> None:
    """Let the namespace go: it dies with its last process. One that is not there counts as released."""
    import ctypes

    libc = _libc()
    if libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
        error = ctypes.get_errno()
        if error not in (2, 22):  # not there, or not a mount point
            raise OSError(error, os.strerror(error), path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def inside(path: str, work: Callable[[], None]) -> None:
    """Do something in the namespace pinned at ``path``: in a thread of its own, nobody else changes place.

    Raises:
        OSError: no namespace there, or what ``work`` raises.
    """
    namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def there() -> None:
        _check(_libc().setns(namespace, _CLONE_NEWNET), path)
        work()

    try:
        _in_thread(there)
    finally:
        os.close(namespace)


def _make_here(path: str) -> None:
    """Runs in a thread of its own: the namespace it moves to dies with it unless pinned."""
    libc = _libc()
    _check(libc.unshare(_CLONE_NEWNET), "unshare")
    _loopback_up()
    _check(libc.mount(b"/proc/thread-self/ns/net", os.fsencode(path), b"none", _MS_BIND, None), path)


def _loopback_up() -> None:
    from _socket import AF_INET, SOCK_DGRAM, socket  # socket is 11 ms of import

    probe = socket(AF_INET, SOCK_DGRAM, 0)
    try:
        request = b"lo".ljust(16, b"\0")
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFFLAGS, request.ljust(40, b"\0"))
        flags = int.from_bytes(answer[16:18], sys.byteorder) | _IFF_UP
        fcntl.ioctl(probe.fileno(), _SIOCSIFFLAGS, (request + flags.to_bytes(2, sys.byteorder)).ljust(40, b"\0"))
    finally:
        probe.close()


def _share_directory(directory: str) -> None:
    import ctypes

    os.makedirs(directory, mode=0o755, exist_ok=True)
    libc = _libc()
    name = os.fsencode(directory)
    if libc.mount(b"none", name, None, _MS_SHARED | _MS_REC, None) == 0:
        return
    if ctypes.get_errno() != 22:
        _check(-1, directory)
    lock = os.open(os.path.dirname(directory), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first users would stack two mounts
        if libc.mount(b"none", name, None, _MS_SHARED | _MS_REC, None) != 0:
            _check(libc.mount(name, name, b"none", _MS_BIND | _MS_REC, None), directory)
            _check(libc.mount(b"none", name, None, _MS_SHARED | _MS_REC, None), directory)
    finally:
        os.close(lock)


def _in_thread(work: Any) -> None:
    failures: list[BaseException] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            done.release()

    _thread.start_new_thread(run, ())
    with done:
        pass
    if failures:
        raise failures[0]


def _check(result: int, what: str) -> None:
    if result != 0:
        import ctypes

        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), what)


def _libc() -> Any:
    import ctypes  # 3 ms: Python 3.11 has neither unshare nor mount

    return ctypes.CDLL(None, use_errno=True)
