"""A network and a mount namespace for the whole test session, entered by the pytest process itself.

Everything the tests start inherits both, so what pyctl does to "the host" (bridge, nft ruleset, leases under
/var/lib/cni, /run/pyctl) happens on a host of our own: checks can be strict, and nothing outside is touched.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import subprocess

from pyctl.lifecycle.journal import open_locked

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000

PRIVATE = (
    "/run/containerd",
    "/run/pyctl",
    "/run/nerdctl",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/nerdctl",
    "/var/lib/pyctl",
    "/etc/cni/net.d",
)
"""Emptied for the session; those that did not exist before are removed again by the last that leaves."""

_MADE = "/tmp/pyctl-tests.made"  # a line for each; every session holds a shared lock: where one mounts, nobody may remove


class Outside:
    """The way back: descriptors of the namespaces pytest was started in."""

    def __init__(self, network: int, mounts: int, made: int) -> None:
        self.network, self.mounts, self._made = network, mounts, made

    def command(self, *argv: str) -> list[str]:
        """``argv`` run where pytest was started: with the real network and the real file system."""
        me = os.getpid()
        spaces = [f"--net=/proc/{me}/fd/{self.network}", f"--mount=/proc/{me}/fd/{self.mounts}"]
        return ["nsenter", *spaces, f"--wd={os.getcwd()}", *argv]

    def leave(self) -> None:
        """Go back; the namespaces vanish with their last process."""
        _setns(self.network, CLONE_NEWNET)
        _check(_libc.unshare(CLONE_FS), "unshare")  # a thread that a test left behind shares ours, and then nobody may change
        _setns(self.mounts, CLONE_NEWNS)
        os.close(self.network)
        os.close(self.mounts)
        try:
            fcntl.flock(self._made, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        for path in reversed(os.pread(self._made, 4096, 0).decode().split()):
            try:
                os.rmdir(path)
            except OSError:
                pass  # somebody else uses it by now
        os.unlink(_MADE)
        os.close(self._made)


def enter() -> Outside:
    """Move this process (and so every child) into namespaces of its own, with loopback up.

    Raises:
        OSError: not root, or the kernel refuses (a container without CAP_SYS_ADMIN).
    """
    made = open_locked(_MADE, os.O_CREAT, 0, shared=True)
    os.write(made, "".join(f"{path}\n" for path in PRIVATE if _make(path)).encode())
    outside = Outside(os.open("/proc/self/ns/net", os.O_RDONLY), os.open("/proc/self/ns/mnt", os.O_RDONLY), made)
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
    commands = ["mount --make-rprivate /", "ip link set lo up"]
    # sysfs shows the network namespace it was mounted in; the cgroup mounts below it must stay.
    commands += ["mount --rbind /sys/fs/cgroup /mnt", "mount -t sysfs sysfs /sys"]
    commands += ["mount --rbind /mnt /sys/fs/cgroup", "umount -R /mnt"]
    commands += [f"mount -t tmpfs -o mode=0755 tmpfs {path}" for path in PRIVATE]
    for command in commands:
        subprocess.run(command.split(), check=True)
    return outside


def _make(path: str) -> bool:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    return True


_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor: int, kind: int) -> None:
    _check(_libc.setns(descriptor, kind), "setns")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
