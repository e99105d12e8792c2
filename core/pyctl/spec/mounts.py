"""``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from`` and the image's VOLUMEs, as mount requests in mounting order."""

from __future__ import annotations

import os
import posixpath

from pyctl.spec.mountflag import absolute, parse_mount_flag, volume_name
from pyctl.spec.units import refuse, refuse_early
from pyctl_hookspecs.process_mounts import MountRequest
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyctl.spec.options import ContainerOptions

PROPAGATIONS = frozenset(("private", "rprivate", "shared", "rshared", "slave", "rslave"))
_ACCESS = frozenset(("ro", "rw", "rro"))
_LABELS = frozenset(("z", "Z"))
_CONSISTENCY = frozenset(("consistent", "cached", "delegated", "default"))
_RECURSION = frozenset(("bind", "rbind"))


class MountPoint(Record):
    """A mount of an existing container, as its ``nerdctl/mounts.N`` label has it."""

    type: str
    destination: str
    name: str = ""
    source: str = ""
    driver: str = ""
    mode: str = ""
    read_write: bool = True
    propagation: str = ""


def parse_mounts(
    options: ContainerOptions,
    *,
    container_id: str,
    image_volumes: Iterable[str] = (),
    donors: Mapping[str, tuple[MountPoint, ...]] | None = None,
) -> tuple[MountRequest, ...]:
    """Every mount of a container, parents before children; names of anonymous volumes are chosen here.

    What the user names wins over ``--volumes-from``, and that over the image's VOLUMEs. ``donors`` has the mounts of
    each container named by ``volumes_from``. Nothing is looked up on disk.

    Raises:
        InvalidArgumentError: a malformed mount, or two at one destination; names the argument.
        UnsupportedError: an option of ``--mount`` that is not done yet.
    """
    asked: dict[str, MountRequest] = {}
    for text in options.volume:
        _add(asked, parse_volume_flag(text, container_id))
    for text in options.mount:
        _add(asked, parse_mount_flag(text, container_id))
    for text in options.tmpfs:
        _add(asked, _tmpfs(text, container_id))
    inherited: dict[str, MountRequest] = {}
    for name, mode in volumes_from(options.volumes_from):
        for point in (donors or {}).get(name, ()):
            if point.type in ("bind", "volume"):
                inherited[clean(point.destination)] = _inherited(point, name, mode, container_id)
    found = {**inherited, **asked}
    for target in image_volumes:
        if clean(target) not in found:
            found[clean(target)] = _anonymous(f"VOLUME {target}", clean(target), container_id)
    return tuple(sorted(found.values(), key=lambda request: (request.target.count("/"), request.target)))


def volumes_from(values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Container and mode (``ro``, ``rw``, empty) of each ``--volumes-from``.

    Raises:
        InvalidArgumentError: a mode that is none.
    """
    found = []
    for text in values:
        name, _, mode = text.partition(":")
        if not name:
            refuse(f"volumes-from specification is empty: {text!r}")
        if mode not in ("", "ro", "rw", "z", "Z"):
            refuse(f"invalid mode: {mode}: --volumes-from {text}")
        found.append((name, mode))
    return tuple(found)


def parse_volume_flag(text: str, container_id: str) -> MountRequest:
    """``[SOURCE:]TARGET[:OPTIONS]``: a source with a slash (or a dot in front) is a path, any other a volume.

    Raises:
        InvalidArgumentError: names the argument.
    """
    parts = text.split(":")
    if not text:
        refuse("invalid empty volume spec")
    if len(parts) > 3:
        refuse(f"invalid volume specification: '{text}'")
    if not all(parts[:2]) or (len(parts) == 3 and not parts[2]):
        refuse_early(f"invalid spec: {text}: empty section between colons")
    argument = f"-v {text}"
    words = tuple(parts[2].split(",")) if len(parts) == 3 else ()
    if len(parts) == 1:
        # Without a source a relative target counts from the root, as in Docker.
        return _anonymous(argument, _target("/" + text, text, "volume"), container_id)
    source, raw_target = parts[0], parts[1]
    if len(parts) == 2 and _are_modes((raw_target,)):
        refuse(f"invalid volume specification: '{text}'")
    is_path = source[0] in "/."
    target = _target(raw_target, text, "bind" if is_path else "volume")
    if not _are_modes(words):
        refuse(f"invalid mode: {parts[2]}")
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    kind, foreign = ("bind", "Volume") if is_path else ("volume", "Bind")
    if ("nocopy" in words) if is_path else propagation:
        start = f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\""
        refuse(f"{start}: field {foreign}Options must not be specified")
    return MountRequest(
        container_id=container_id,
        argument=argument,
        type=kind,
        source=absolute(source) if is_path else source,
        target=target,
        options=tuple(word for word in words if word in _RECURSION or word in _LABELS),
        read_only="ro" in words or "rro" in words,
        propagation=propagation,
        volume_name="" if is_path else volume_name(source),
        copy_up="nocopy" not in words,
        create_source=is_path,
    )


def clean(path: str) -> str:
    """The path without doubled slashes, ``.`` and ``..``."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _are_modes(words: Iterable[str]) -> bool:
    seen: set[str] = set()
    for word in words:
        for kind, members in (
            ("access", _ACCESS),
            ("label", _LABELS),
            ("propagation", PROPAGATIONS),
            ("consistency", _CONSISTENCY),
            ("recursion", _RECURSION),
            ("copy", ("nocopy",)),
        ):
            if word in members:
                if kind in seen:
                    return False
                seen.add(kind)
                break
        else:
            return False
    return True


def _target(path: str, text: str, kind: str) -> str:
    start = f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": "
    if not path.startswith("/"):
        refuse(f"{start}invalid mount path: '{path}' mount path must be absolute")
    if clean(path) == "/":
        refuse(f"{start}invalid specification: destination can't be '/'")
    return clean(path)


def _tmpfs(text: str, container_id: str) -> MountRequest:
    path, _, words = text.partition(":")
    if not path.startswith("/"):
        refuse(f"invalid tmpfs mount: '{text}': invalid mount path: '{path}' mount path must be absolute")
    if clean(path) == "/":
        refuse(f"invalid tmpfs mount: '{text}': invalid specification: destination can't be '/'")
    return MountRequest(
        container_id=container_id,
        argument=f"--tmpfs {text}",
        type="tmpfs",
        source="",
        target=clean(path),
        options=tuple(word for word in words.split(",") if word),
    )


def _anonymous(argument: str, target: str, container_id: str) -> MountRequest:
    return MountRequest(
        container_id=container_id,
        argument=argument,
        type="volume",
        source="",
        target=target,
        volume_name=os.urandom(32).hex(),
        is_anonymous=True,
    )


def _inherited(point: MountPoint, name: str, mode: str, container_id: str) -> MountRequest:
    return MountRequest(
        container_id=container_id,
        argument=f"--volumes-from {name}{':' + mode if mode else ''}",
        type=point.type,
        source=point.name if point.type == "volume" else point.source,
        target=clean(point.destination),
        read_only=mode == "ro" or not point.read_write,
        propagation=point.propagation if point.type == "bind" else "",
        volume_name=point.name,
        create_source=point.type == "bind",
    )


def _add(asked: dict[str, MountRequest], request: MountRequest) -> None:
    if request.target in asked:
        refuse(f"Duplicate mount point: {request.target}")
    asked[request.target] = request
