"""The files of a container's state directory that we and nerdctl read (interop facts, section 2.1)."""

from __future__ import annotations

import os

from pyctl.state.locks import make_private, write_atomic
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

CREATE_JOURNAL = "pyctl-create.journal"
START_JOURNAL = "pyctl-start.journal"
_EXIT = "pyctl-exit.json"  # containerd 2.x forgets exited tasks when it restarts; we do not
_NETWORKS = "pyctl-networks.json"
_LIFECYCLE = "lifecycle.json"
_PORTS = "network-config.json"
_WANTED = "pyctlWanted"
_MAX_BYTES = 4096


class ExitRecord(Record):
    """How a container's last run ended. ``exited_at`` is RFC 3339 UTC.

    ``oom_killed``: the kernel killed a process of it for want of memory, not always its first one.
    """

    exit_code: int
    exited_at: str
    oom_killed: bool = False


class StateDir:
    """One container's state directory."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def create_journal(self) -> str:
        return f"{self.path}/{CREATE_JOURNAL}"

    @property
    def start_journal(self) -> str:
        return f"{self.path}/{START_JOURNAL}"

    def make(self) -> None:
        make_private(self.path)

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def save_exit(self, record: ExitRecord) -> None:
        self._save(_EXIT, record.as_dict())

    def exit(self) -> ExitRecord | None:
        """How the last run ended, or None if it never did."""
        fields = self._load(_EXIT)
        return ExitRecord(**fields) if fields else None

    def save_started(self, started_at: str) -> None:
        """A new run begins: of the one before only its end is remembered, as in Docker."""
        ended = self.exit()
        before = {"pyctl_finished_at": ended.exited_at} if ended else {}
        self._save(_LIFECYCLE, {"started_at": started_at, "create_error": False, **before})
        if ended is not None:
            os.unlink(f"{self.path}/{_EXIT}")

    def started_at(self) -> str:
        """RFC 3339, or empty if it never started."""
        return str(self._load(_LIFECYCLE).get("started_at", ""))

    def current_run(self) -> tuple[str, str]:
        """When it started and when the run before it ended: RFC 3339, or empty."""
        noted = self._load(_LIFECYCLE)
        return str(noted.get("started_at", "")), str(noted.get("pyctl_finished_at", ""))

    def save_ports(self, mappings: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]] = ()) -> None:
        """nerdctl's port mappings: HostPort, ContainerPort, Protocol, HostIP. ``wanted`` is what the next start publishes."""
        fields = {"portMappings": list(mappings)} if mappings else {}
        if wanted and list(wanted) != list(mappings):
            fields[_WANTED] = list(wanted)
        self._save(_PORTS, fields)

    def ports(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._load(_PORTS).get("portMappings", [])
        return found

    def withdraw_ports(self) -> None:
        """Its network was disconnected: nothing is published any more, but the next start publishes again."""
        ports = self.wanted_ports()
        self._save(_PORTS, {_WANTED: ports} if ports else {})

    def wanted_ports(self) -> list[dict[str, Any]]:
        """What the next start publishes, whether it is published now or not."""
        stored = self._load(_PORTS)
        found: list[dict[str, Any]] = stored.get(_WANTED) or stored.get("portMappings", [])
        return found

    def save_attachments(self, attachments: Mapping[str, Mapping[str, Any]]) -> None:
        """What the network drivers did, by network name; gone when the run is over."""
        self._save(_NETWORKS, dict(attachments))

    def attachments(self) -> dict[str, dict[str, Any]]:
        return self._load(_NETWORKS)

    def forget_attachments(self) -> None:
        try:
            os.unlink(f"{self.path}/{_NETWORKS}")
        except FileNotFoundError:
            pass

    def _save(self, name: str, fields: Mapping[str, Any]) -> None:
        import json

        write_atomic(f"{self.path}/{name}", json.dumps(fields, separators=(",", ":")), durable=False)

    def _load(self, name: str) -> dict[str, Any]:
        import json

        try:
            fd = os.open(f"{self.path}/{name}", os.O_RDONLY | os.O_CLOEXEC)  # half the time of a file object: ps reads many
        except FileNotFoundError:
            return {}
        try:
            text = chunk = os.read(fd, 4096)
            while len(chunk) == 4096:
                chunk = os.read(fd, 4096)
                text += chunk
        finally:
            os.close(fd)
        loaded: dict[str, Any] = json.loads(text.decode())
        return loaded
