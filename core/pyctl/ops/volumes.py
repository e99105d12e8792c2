"""``volume create|ls|inspect|rm|prune``: records in, Docker's shapes out.

Who uses a volume is in the labels of all containers of the namespace; the caller lists them (``volume_users``).
"""

from __future__ import annotations

from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from pyctl.state.volumes import Volume, VolumeStore


class VolumeEntry(Record):
    """A volume as ``ls`` and ``inspect`` show it. ``created_at`` is RFC 3339; ``size_bytes`` -1: not asked for."""

    name: str
    mountpoint: str
    created_at: str
    labels: tuple[tuple[str, str], ...] = ()
    driver: str = "local"
    scope: str = "local"
    size_bytes: int = -1

    def docker(self) -> dict[str, Any]:
        """The object of ``docker volume inspect``."""
        return {
            "CreatedAt": self.created_at,
            "Driver": self.driver,
            "Labels": dict(self.labels) or None,
            "Mountpoint": self.mountpoint,
            "Name": self.name,
            "Options": None,
            "Scope": self.scope,
        }


class Pruned(Record):
    """What ``prune`` removed, and the bytes that came free."""

    names: tuple[str, ...]
    reclaimed_bytes: int


def volume_users(containers: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, tuple[str, ...]]:
    """For each volume the IDs of the containers that name it; takes (container ID, labels) pairs."""
    from pyctl.spec.labels import mount_points

    found: dict[str, tuple[str, ...]] = {}
    for container_id, labels in containers:
        for point in mount_points(labels):
            if point.type == "volume" and point.name:
                found[point.name] = (*found.get(point.name, ()), container_id)
    return found


def create(
    store: VolumeStore, name: str = "", *, labels: Iterable[str] = (), driver: str = "", options: Iterable[str] = ()
) -> str:
    """Create a volume and return its name; one that exists already is returned as it is.

    Raises:
        InvalidArgumentError: a bad name or label.
        UnsupportedError: a driver other than local, or driver options.
    """
    from pyctl.state.volumes import ANONYMOUS_LABEL
    from pyctl_hookspecs.errors import InvalidArgumentError, UnsupportedError

    if driver not in ("", "local"):
        raise UnsupportedError(f"--driver {driver} is not supported yet")
    if tuple(options):
        raise UnsupportedError("--opt is not supported yet")
    chosen: dict[str, str] = {}
    for text in labels:
        key, _, value = text.partition("=")
        if not key:
            raise InvalidArgumentError(
                f'invalid argument "{text}" for "--label" flag: invalid label \'{text}\': empty name', exit_code=125
            )
        chosen[key] = value
    if not name:
        import os

        name = os.urandom(32).hex()
        chosen[ANONYMOUS_LABEL] = ""
    return store.create(name, chosen)[0].name


def ls(
    store: VolumeStore,
    *,
    filters: Iterable[str] = (),
    users: Callable[[], Mapping[str, tuple[str, ...]]] | None = None,
    sizes: bool = False,
) -> tuple[VolumeEntry, ...]:
    """Volumes by name. ``users`` is only called for the filter ``dangling``.

    Raises:
        InvalidArgumentError: an unknown filter.
    """
    groups = _filters(filters, ("dangling", "driver", "label", "label!", "name"))
    in_use = users() if users is not None and "dangling" in groups else {}
    return tuple(
        _entry(volume, sizes=sizes)
        for volume in store.list()
        if _labels_match(volume, groups) and _matches(volume, groups, in_use)
    )


def inspect(
    store: VolumeStore, names: Iterable[str], *, sizes: bool = False
) -> tuple[tuple[VolumeEntry, ...], tuple[Exception, ...]]:
    """The volumes that were found, and an error for each that was not."""
    from pyctl_hookspecs.errors import NotFoundError

    found, errors = [], []
    for name in names:
        try:
            found.append(_entry(store.get(name), sizes=sizes))
        except NotFoundError as error:
            errors.append(error)
    return tuple(found), tuple(errors)


def remove(store: VolumeStore, name: str, users: Callable[[], Mapping[str, tuple[str, ...]]], *, force: bool = False) -> None:
    """Remove one volume. ``users`` is asked under the volumes' lock; with ``force`` a missing volume is fine.

    Raises:
        NotFoundError: ``get X: no such volume``.
        ConflictError: ``remove X: volume is in use - [ID, ...]``.
    """
    from pyctl_hookspecs.errors import ConflictError, NotFoundError

    holders: tuple[str, ...] = ()

    def in_use(volume_name: str) -> bool:
        nonlocal holders
        holders = tuple(users().get(volume_name, ()))
        return bool(holders)

    try:
        store.get(name)
    except NotFoundError:
        if force:
            return
        raise
    store.remove_unless(name, in_use)
    if holders:
        raise ConflictError(f"remove {name}: volume is in use - [{', '.join(holders)}]")


def prune(
    store: VolumeStore,
    users: Callable[[], Mapping[str, tuple[str, ...]]],
    *,
    every: bool = False,
    filters: Iterable[str] = (),
) -> Pruned:
    """Remove volumes nobody uses: those made without a name, all of them with ``every`` (or the filter ``all=1``).

    Raises:
        InvalidArgumentError: an unknown filter.
    """
    groups = _filters(filters, ("all", "label", "label!"))
    every = every or any(value.lower() in ("1", "true") for value in groups.get("all", ()))
    sizes: dict[str, int] = {}

    def wanted(volume: Volume) -> bool:
        if not _labels_match(volume, groups):
            return False
        sizes[volume.name] = size_bytes(volume.mountpoint)
        return True

    removed = store.prune(users, every=every, matches=wanted)
    return Pruned(names=tuple(volume.name for volume in removed), reclaimed_bytes=sum(sizes[volume.name] for volume in removed))


def size_bytes(directory: str) -> int:
    """Bytes of the regular files below a directory, each hard-linked one once; what vanishes meanwhile counts nothing."""
    import os
    import stat

    total, pending = 0, [directory]
    seen: set[tuple[int, int]] = set()
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(facts.st_mode):
                pending.append(entry.path)
            elif stat.S_ISREG(facts.st_mode) and (facts.st_dev, facts.st_ino) not in seen:
                seen.add((facts.st_dev, facts.st_ino))
                total += facts.st_size
    return total


def _entry(volume: Volume, *, sizes: bool) -> VolumeEntry:
    from datetime import datetime

    created = datetime.fromtimestamp(int(volume.created_at)).astimezone().isoformat()
    return VolumeEntry(
        name=volume.name,
        mountpoint=volume.mountpoint,
        created_at=created.replace("+00:00", "Z"),
        labels=volume.labels,
        size_bytes=size_bytes(volume.mountpoint) if sizes else -1,
    )


def _filters(texts: Iterable[str], known: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    from pyctl_hookspecs.errors import InvalidArgumentError

    groups: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidArgumentError(
                f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)', exit_code=125
            )
        if key not in known:
            raise InvalidArgumentError(f"invalid filter '{key}'")
        if key in ("dangling", "all") and value.lower() not in ("0", "1", "true", "false"):
            raise InvalidArgumentError(f"invalid filter '{key}=[{value}]'")
        groups[key] = (*groups.get(key, ()), value)
    return groups


def _labels_match(volume: Volume, groups: Mapping[str, tuple[str, ...]]) -> bool:
    labels = dict(volume.labels)

    def has(text: str) -> bool:
        key, equals, value = text.partition("=")
        return key in labels and (not equals or labels[key] == value)

    return all(has(text) for text in groups.get("label", ())) and not any(has(text) for text in groups.get("label!", ()))


def _matches(volume: Volume, groups: Mapping[str, tuple[str, ...]], in_use: Mapping[str, tuple[str, ...]]) -> bool:
    if "driver" in groups and "local" not in groups["driver"]:
        return False
    for value in groups.get("dangling", ()):
        if (value.lower() in ("1", "true")) == (volume.name in in_use):
            return False
    return "name" not in groups or any(_name_matches(pattern, volume.name) for pattern in groups["name"])


def _name_matches(pattern: str, name: str) -> bool:
    if pattern in name:
        return True
    import re

    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False
