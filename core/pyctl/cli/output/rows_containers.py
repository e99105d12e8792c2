"""``ps``: Docker's columns and fields."""

from __future__ import annotations

from pyctl.cli.output.templates.values import Row
from pyctl.cli.output.units import human_duration
from pyctl.cli.times import utc_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl.ops.listing import ListedContainer

HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "CreatedAt": "CREATED AT",
    "State": "STATE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Runtime": "RUNTIME",
    "Platform": "PLATFORM",
}
COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
WIDE_COLUMNS = (*COLUMNS, "Runtime", "Platform", "Size")
# Docker's JSON has these; the rest are for templates.
FIELDS = (
    *("Command", "CreatedAt", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Names", "Networks", "Ports"),
    *("RunningFor", "Size", "State", "Status"),
)


class ContainerFields:
    """Every field of one container by name; each is worked out when it is asked for."""

    def __init__(self, one: ListedContainer, *, now_s: float, truncate: bool) -> None:
        self._one, self._now_s, self._truncate = one, now_s, truncate

    def row(self, fields: Sequence[str] = FIELDS) -> Row:
        """The fields as a row. Those that are not in it can be asked for by templates all the same."""
        row = Row((name, getattr(self, name)) for name in fields)
        if fields is FIELDS:
            row["Runtime"] = lambda: self.Runtime
            row["Platform"] = lambda: self.Platform
            row["Label"] = lambda name: self._one.labels.get(name, "")
        return row

    @property
    def ID(self) -> str:
        return self._one.container_id[:12] if self._truncate else self._one.container_id

    @property
    def Names(self) -> str:
        return ",".join(self._one.names)

    @property
    def Image(self) -> str:
        return self._one.image or "<no image>"

    @property
    def Command(self) -> str:
        from pyctl.cli.output.templates.gofmt import quote

        program, *arguments = self._one.command or ("",)
        text = " ".join((program, *(f"'{word}'" if " " in word else word for word in arguments)))
        return quote(ellipsis(text, 20) if self._truncate else text)

    @property
    def CreatedAt(self) -> str:
        from pyctl.cli.output.units import local_time

        return local_time(utc_seconds(self._one.created_at))

    @property
    def RunningFor(self) -> str:
        return f"{human_duration(self._now_s - utc_seconds(self._one.created_at))} ago"

    @property
    def Ports(self) -> str:
        from pyctl.spec.ports import format_ports

        return format_ports(self._one.ports, self._one.exposed)

    @property
    def State(self) -> str:
        return self._one.state.status

    @property
    def Status(self) -> str:
        state = self._one.state
        if state.status == "created":
            return "Created"
        if state.status == "dead":
            return "Dead"
        if state.status in ("running", "paused"):
            up = f"Up {human_duration(self._now_s - utc_seconds(state.started_at))}" if state.started_at else "Up"
            if state.status == "paused":
                return f"{up} (Paused)"
            if state.health:
                return f"{up} ({'health: starting' if state.health == 'starting' else state.health})"
            return up
        ago = f" {human_duration(self._now_s - utc_seconds(state.finished_at))} ago" if state.finished_at else ""
        word = "Restarting" if state.status == "restarting" else "Exited"
        return f"{word} ({state.exit_code}){ago}"

    @property
    def Size(self) -> str:
        from pyctl.cli.output.units import human_size

        writable, whole = max(self._one.size_rw_bytes, 0), self._one.size_root_bytes
        return f"{human_size(writable)} (virtual {human_size(whole)})" if whole > 0 else human_size(writable)

    @property
    def Labels(self) -> str:
        return ",".join(f"{key}={value}" for key, value in sorted(self._one.labels.items()))

    @property
    def Mounts(self) -> str:
        names = [point.name or point.source for point in self._one.mounts]
        return ",".join(ellipsis(name, 15) if self._truncate else name for name in names)

    @property
    def LocalVolumes(self) -> str:
        return str(sum(point.type == "volume" for point in self._one.mounts))

    @property
    def Networks(self) -> str:
        return ",".join(self._one.networks)

    @property
    def Runtime(self) -> str:
        return self._one.runtime

    @property
    def Platform(self) -> str:
        return self._one.platform


def ellipsis(text: str, length: int) -> str:
    """The text, or its beginning with a mark in the last of ``length`` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
