"""``--device``, ``--device-cgroup-rule``, and every host device for ``--privileged``."""

from __future__ import annotations

import os
import stat

from pyctl.spec.units import refuse, refuse_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# null, zero, full, random, urandom, tty, console, ptmx, pts: what every container has (the runtime makes the nodes).
_USUAL = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None))
# Made anew for each container, or not devices of the machine.
_NOT_SHARED = ("/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev")


def default_rules() -> list[dict[str, Any]]:
    """Cgroup rules of a container: nothing, but mknod of anything and the usual character devices."""
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in "cb"]
    for major, minor in _USUAL:
        rule: dict[str, Any] = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        rules.append(rule if minor is None else {**rule, "minor": minor})
    return rules


def requested(devices: Iterable[str], rules: Iterable[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """``linux.devices`` and cgroup rules for ``HOST[:CONTAINER][:rwm]`` and ``TYPE MAJOR:MINOR ACCESS``.

    A directory stands for the devices below it.

    Raises:
        InvalidArgumentError: malformed, or not a device.
    """
    nodes: list[dict[str, Any]] = []
    allowed: list[dict[str, Any]] = []
    for text in devices:
        host, container, access = parse_device(text)
        for path, node in _nodes(host, container):
            nodes.append({**node, "path": path})
            allowed.append(
                {"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access}
            )
    allowed += [_rule(text) for text in rules]
    return nodes, allowed


def parse_device(text: str) -> tuple[str, str, str]:
    """Host path, container path and access of a ``--device``.

    Raises:
        InvalidArgumentError: names the argument.
    """
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        refuse_flag(text, "--device", f"bad format for path: {text}")
    host, container, access = parts[0], parts[0], "rwm"
    if len(parts) == 2 and _is_access(parts[1]):
        access = parts[1]
    elif len(parts) >= 2:
        container = parts[1]
        if len(parts) == 3:
            access = parts[2]
            if not _is_access(access):
                refuse_flag(text, "--device", f"bad mode specified: {access}")
    for path in (host, container):
        if not path.startswith("/"):
            refuse_flag(text, "--device", f"{path} is not an absolute path")
    return host, container, access


def host_devices(root: str = "/dev") -> list[dict[str, Any]]:
    """Every device node of the machine, for ``--privileged``."""
    found: list[dict[str, Any]] = []
    pending = [root]
    while pending:
        try:
            entries = sorted(os.scandir(pending.pop()), key=lambda entry: entry.name)
        except OSError:
            continue  # gone, or not ours to read
        for entry in entries:
            if entry.path in _NOT_SHARED or entry.is_symlink():
                continue
            try:
                node = _node(entry.stat(follow_symlinks=False))
                is_dir = entry.is_dir(follow_symlinks=False)
            except OSError:
                continue
            if node:
                found.append({**node, "path": entry.path})
            elif is_dir:
                pending.append(entry.path)
    return found


def device_number(path: str, flag: str) -> tuple[int, int]:
    """Major and minor of a block device, for the ``--device-read-bps`` family.

    Raises:
        InvalidArgumentError: no such file.
    """
    try:
        number = os.stat(path).st_rdev
    except OSError as error:
        refuse(f"{flag}: stat {path}: {(error.strerror or str(error)).lower()}")
    return os.major(number), os.minor(number)


def _is_access(text: str) -> bool:
    return bool(text) and len({*text}) == len(text) and not text.strip("rwm")


def _nodes(host: str, container: str) -> Iterator[tuple[str, dict[str, Any]]]:
    error_start = f'error gathering device information while adding custom device "{host}"'
    try:
        node = _node(os.stat(host))
    except OSError as error:
        refuse(f"{error_start}: {(error.strerror or str(error)).lower()}")
    if node:
        yield container, node
        return
    if not os.path.isdir(host):
        refuse(f"{error_start}: not a device node")
    below = host_devices(host)
    if not below:
        refuse(f"{error_start}: not a device node")
    for entry in below:
        path = entry.pop("path")
        yield container.rstrip("/") + path[len(host.rstrip("/")) :], entry


def _node(facts: os.stat_result) -> dict[str, Any] | None:
    if stat.S_ISCHR(facts.st_mode):
        kind = "c"
    elif stat.S_ISBLK(facts.st_mode):
        kind = "b"
    else:
        return None
    return {
        "type": kind,
        "major": os.major(facts.st_rdev),
        "minor": os.minor(facts.st_rdev),
        "fileMode": stat.S_IMODE(facts.st_mode),
        "uid": facts.st_uid,
        "gid": facts.st_gid,
    }


def _rule(text: str) -> dict[str, Any]:
    parts = text.split(" ")
    major, colon, minor = parts[1].partition(":") if len(parts) == 3 else ("", "", "")
    if (
        not colon
        or parts[0] not in ("a", "b", "c")
        or not all(number == "*" or number.isdecimal() for number in (major, minor))
        or not _is_access(parts[2])
    ):
        refuse_flag(text, "--device-cgroup-rule", f"invalid device cgroup format '{text}'")
    rule: dict[str, Any] = {"allow": True, "type": parts[0], "access": parts[2]}
    if major != "*":
        rule["major"] = int(major)
    if minor != "*":
        rule["minor"] = int(minor)
    return rule
