"""Mount a snapshot for a short while, in a mount namespace that only the calling thread is in.

Whatever kills the process, the namespace dies with the thread and takes its mounts along: nothing to undo.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from pyctl_hookspecs.process_mounts import OciMount

_CLONE_NEWNS = 0x00020000
_FLAGS = {"ro": 0x1, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "bind": 0x1000, "rbind": 0x5000}
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2


@contextmanager
def mounted(mounts: Sequence[OciMount], directory: str) -> Iterator[str]:
    """A path where the snapshot's files can be read, valid in this thread alone and while the context is open.

    Must be called in a thread that ends soon: it stays in its private mount namespace. ``directory`` is a place to
    mount on, for this call alone: it is made and removed.

    Raises:
        OSError: the kernel refused a mount.
    """
    libc = _libc()
    os.makedirs(directory, mode=0o700, exist_ok=True)
    _check(libc.unshare(_CLONE_NEWNS), "unshare mount namespace")
    _check(libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private")
    try:
        for mount in mounts:
            _mount(libc, mount, directory)
        yield directory
    finally:
        libc.umount2(os.fsencode(directory), _MNT_DETACH)
        os.rmdir(directory)


def read_only(options: Sequence[str]) -> list[str]:
    """An overlay's options for a mount that only reads.

    The layer that is written to becomes the topmost of those below: two mounts that share a work directory, as the
    volumes of one container would, disturb each other while the kernel clears it.
    """
    named = dict(option.partition("=")[::2] for option in options)
    if "upperdir" not in named:
        return list(options)
    kept = [option for option in options if option.partition("=")[0] not in ("upperdir", "workdir", "lowerdir")]
    return [*kept, f"lowerdir={named['upperdir']}:{named['lowerdir']}"]


def _mount(libc: Any, mount: OciMount, directory: str) -> None:
    flags, data = 0, []
    for option in read_only(mount.options) if mount.type == "overlay" else mount.options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option not in ("rw", "rprivate"):
            data.append(option)
    target, kind, text = os.fsencode(directory), mount.type.encode(), ",".join(data).encode()
    source = os.fsencode(mount.source)
    if flags & _MS_BIND:  # a bind mount takes read-only only when mounted again
        _check(libc.mount(source, target, kind, flags & ~_MS_RDONLY, None), f"mount {mount.source}")
        _check(libc.mount(None, target, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY, None), f"mount {mount.source} read-only")
    else:
        _check(libc.mount(source, target, kind, flags | _MS_RDONLY, text), f"mount {mount.type}")


def _check(result: int, what: str) -> None:
    import ctypes

    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _libc() -> Any:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
    return libc
