"""Address leases in host-local's own files, so that the CNI plug-in and pyctl share one pool.

A directory per network; a file per address holding ``<owner>\\r\\n<interface>``; flock on the file ``lock``.
"""

from __future__ import annotations

import fcntl
import os

from pyctl_hookspecs import ConflictError, InvalidArgumentError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from pyctl_plugins.network._addresses import Range

DEFAULT_DIRECTORY = "/var/lib/cni/networks"
_seen: dict[str, dict[str, bytes]] = {}  # by pool and address, for batches; changed under the pool's lock


class Leases:
    """The pool of one network, locked while the context is open. ``owner`` is ``<namespace>-<container ID>``.

    With ``must_exist``, entering raises FileNotFoundError where there is none, instead of making it.
    """

    __slots__ = ("_directory", "_lock", "_must_exist", "_network")

    def __init__(self, network: str, data_dir: str = "", *, must_exist: bool = False) -> None:
        self._network, self._must_exist = network, must_exist
        self._directory = os.path.join(data_dir or DEFAULT_DIRECTORY, network)
        self._lock = -1

    def __enter__(self) -> Self:
        while True:
            try:
                self._lock = os.open(os.path.join(self._directory, "lock"), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                if self._must_exist:
                    raise
                self._make()
                continue
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.fstat(self._lock).st_nlink:
                return self
            os.close(self._lock)  # removed while we waited for it

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._lock)
        self._lock = -1

    def _make(self) -> None:
        try:
            os.makedirs(self._directory, mode=0o755, exist_ok=True)
        except FileExistsError:  # said too, in spite of ``exist_ok``, when somebody removes it at this moment
            if os.path.lexists(self._directory) and not os.path.isdir(self._directory):
                raise

    def take(
        self, owner: str, interface: str, ranges: Sequence[Range], *, position: int = 0, wanted: str = ""
    ) -> tuple[str, Range]:
        """An address for this interface: the one it holds already, the one wanted, or the next free one in turn.

        ``ranges`` are one set (position ``position`` of the configuration); the turn goes round all of them.

        Raises:
            InvalidArgumentError: what was wanted is not in the pool, or is the gateway's.
            ConflictError: somebody else holds what was wanted.
            PyctlError: every address is taken.
        """
        from pyctl_plugins.network._addresses import to_number

        key = _content(owner, interface)
        held = [name for name, content in self._entries(":" if ranges[0].is_v6 else ".") if content == key]
        for name in held:
            for one in ranges:
                if one.first <= to_number(name) <= one.last and wanted in ("", name):
                    return name, one
        for name in held:  # another address of this set than now asked for; it may have more from other sets
            if any(one.covers(to_number(name)) for one in ranges):
                os.unlink(os.path.join(self._directory, name))
        if wanted:
            return self._take_wanted(key, ranges, position, wanted)
        for number, one in _in_turn(ranges, self._last(position)):
            if number != one.gateway and self._reserve(one.text(number), key, position):
                return one.text(number), one
        pools = ", ".join(f"{one.text(one.first)}-{one.text(one.last)}" for one in ranges)
        family = "IPv6" if ranges[0].is_v6 else "IPv4"
        raise PyctlError(f"no available {family} addresses on this network's address pools: {self._network} ({pools})")

    def release(self, owner: str, interface: str) -> None:
        """Give back whatever this interface holds.

        An empty lease is one whose taker was killed in the middle: the lock is ours, so nobody is writing it now.
        Leases that this process saw in other hands are read again only if nothing else is found.
        """
        key = _content(owner, interface)
        seen = _seen.setdefault(self._directory, {})
        for spared in ({name for name, content in seen.items() if content not in (key, b"")}, set[str]()):
            read = dict(self._entries("", spared))
            seen.update(read)
            found = [name for name, content in read.items() if content in (key, b"")]
            for name in found:
                del seen[name]
                os.unlink(os.path.join(self._directory, name))
            if found:
                return

    def renew(self, owner: str, interface: str, address: str) -> bool:
        """Enter an address that this interface uses; False if an entry of whomever is there already."""
        path = os.path.join(self._directory, address)
        return not os.path.exists(path) and self._write(path, _content(owner, interface))

    def held(self) -> list[tuple[str, str]]:
        """Owner and interface of every lease. To look, nobody has to wait for the lock."""
        found = []
        for _, content in self._entries(""):
            owner, separator, interface = content.decode(errors="replace").partition("\r\n")
            if separator:
                found.append((owner, interface))
        return found

    def remove(self, is_own: Callable[[str], bool]) -> None:
        """Give back everything of these owners; the pool goes when nobody else has an address."""
        for name, content in self._entries(""):
            if is_own(content.partition(b"\r\n")[0].decode(errors="replace")):
                os.unlink(os.path.join(self._directory, name))
        if next(self._entries(""), None) is None:
            self._drop()

    def _drop(self) -> None:
        import shutil
        import threading

        base, network = os.path.split(self._directory)
        # At once: somebody may open the lock while we empty the directory. No network's name begins with a dot.
        os.rename(self._directory, f"{base}/.{network}.{os.getpid()}.{threading.get_ident()}")
        for name in os.listdir(base):
            if name.startswith(f".{network}."):  # one that was killed left its own
                shutil.rmtree(f"{base}/{name}", ignore_errors=True)

    def _take_wanted(self, key: bytes, ranges: Sequence[Range], position: int, wanted: str) -> tuple[str, Range]:
        from pyctl_plugins.network._addresses import to_number

        number = to_number(wanted)
        for one in ranges:
            if not one.first <= number <= one.last:
                continue
            if number == one.gateway:
                raise InvalidArgumentError(f"address {wanted} is the gateway of network {self._network}")
            if not self._reserve(wanted, key, position):
                raise ConflictError(f"Address already in use: {wanted} on network {self._network}")
            return wanted, one
        raise InvalidArgumentError(f"no configured subnet or ip-range contain the IP address {wanted}")

    def _reserve(self, address: str, key: bytes, position: int) -> bool:
        if not self._write(os.path.join(self._directory, address), key):
            return False
        with open(os.path.join(self._directory, f"last_reserved_ip.{position}"), "w", opener=_private) as file:
            file.write(address)
        return True

    def _write(self, path: str, key: bytes) -> bool:
        _seen.get(self._directory, {}).pop(os.path.basename(path), None)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(fd, key)
        except OSError:
            os.unlink(path)  # an empty file is a lease nobody could give back
            raise
        finally:
            os.close(fd)
        return True

    def _last(self, position: int) -> int | None:
        from pyctl_plugins.network._addresses import to_number

        try:
            with open(os.path.join(self._directory, f"last_reserved_ip.{position}")) as file:
                return to_number(file.read().strip())
        except (FileNotFoundError, ValueError):
            return None

    def _entries(self, mark: str, spared: Collection[str] = ()) -> Iterator[tuple[str, bytes]]:
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return
        for name in names:
            if not name[0].isalnum() or name == "lock" or name.startswith("last_reserved_ip") or mark not in name:
                continue
            if name in spared:
                continue
            try:
                fd = os.open(os.path.join(self._directory, name), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            content = os.read(fd, 4096)
            os.close(fd)
            yield name, content.strip()


def release(network: str, owner: str, interface: str, data_dir: str = "") -> None:
    """Give back whatever an interface holds; a network or lease that is not there counts as given back."""
    try:
        with Leases(network, data_dir, must_exist=True) as leases:
            leases.release(owner, interface)
    except FileNotFoundError:
        pass


def remove(network: str, is_own: Callable[[str], bool], data_dir: str = "") -> None:
    """Give back everything of these owners, and the pool if that was all; again succeeds."""
    try:
        with Leases(network, data_dir, must_exist=True) as leases:
            leases.remove(is_own)
    except FileNotFoundError:
        pass


def networks(data_dir: str = "") -> list[str]:
    """The networks with a pool below a directory."""
    base = data_dir or DEFAULT_DIRECTORY
    try:
        return sorted(name for name in os.listdir(base) if name[0] != "." and os.path.isdir(os.path.join(base, name)))
    except FileNotFoundError:
        return []


def _content(owner: str, interface: str) -> bytes:
    return f"{owner}\r\n{interface}".encode()  # with \n alone host-local never finds it again


def _in_turn(ranges: Sequence[Range], last: int | None) -> Iterator[tuple[int, Range]]:
    """Every address once, beginning after the one given out last."""
    at = next((i for i, one in enumerate(ranges) if last is not None and one.first <= last <= one.last), None)
    if at is None or last is None:
        for one in ranges:
            for number in range(one.first, one.last + 1):
                yield number, one
        return
    here = ranges[at]
    for number in range(last + 1, here.last + 1):
        yield number, here
    for one in (*ranges[at + 1 :], *ranges[:at]):
        for number in range(one.first, one.last + 1):
            yield number, one
    for number in range(here.first, last + 1):
        yield number, here


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
