"""What containerd's services take and give, as plain records; the protobuf messages stay behind them.

Times are RFC 3339 texts in UTC (empty: never). ``labels`` are ordinary mappings; treat them as read-only.
"""

from __future__ import annotations

from types import MappingProxyType

from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyctl_hookspecs.resolve_image import Descriptor

EMPTY: Mapping[str, str] = MappingProxyType({})

SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
RUNC_OPTIONS_TYPE = "containerd.runc.v1.Options"


class AnyValue(Record):
    """A value whose type containerd knows by a bare name (no ``type.googleapis.com/`` before it)."""

    type_url: str
    value: bytes


class PluginInfo(Record):
    """One plug-in of the daemon. ``init_error`` is empty for those that work; ``init_code`` is its gRPC status code."""

    type: str
    plugin_id: str
    capabilities: tuple[str, ...] = ()
    exports: Mapping[str, str] = EMPTY
    platforms: tuple[str, ...] = ()
    init_error: str = ""
    init_code: int = 0


class Container(Record):
    """A containerd container: what would run. ``spec_json`` is the OCI spec as JSON text in bytes."""

    container_id: str
    labels: Mapping[str, str] = EMPTY
    image: str = ""
    runtime_name: str = ""
    runtime_options: AnyValue | None = None
    spec_json: bytes = b""
    snapshotter: str = ""
    snapshot_key: str = ""
    created_at: str = ""
    updated_at: str = ""
    extensions: Mapping[str, AnyValue] = MappingProxyType({})


class Image(Record):
    """An image name and the manifest or index it stands for."""

    name: str
    target: Descriptor
    labels: Mapping[str, str] = EMPTY
    created_at: str = ""
    updated_at: str = ""


class ContentInfo(Record):
    """A complete blob."""

    digest: str
    size_bytes: int
    labels: Mapping[str, str] = EMPTY
    created_at: str = ""
    updated_at: str = ""


class IngestStatus(Record):
    """A blob that is being written, or whose writing was broken off."""

    ref: str
    offset_bytes: int
    total_bytes: int
    expected: str = ""
    started_at: str = ""
    updated_at: str = ""


class SnapshotInfo(Record):
    """``kind`` is view, active or committed; ``parent`` is empty at the bottom."""

    name: str
    parent: str
    kind: str
    labels: Mapping[str, str] = EMPTY
    created_at: str = ""
    updated_at: str = ""


class SnapshotUsage(Record):
    """What one snapshot takes on disk, its parents not counted."""

    size_bytes: int
    inodes: int


class TaskStatus(Record):
    """A process containerd looks after: a container's init, or an exec.

    ``status`` is created, running, stopped, paused, pausing or unknown. ``exit_status`` and ``exited_at``
    count once it is stopped.
    """

    container_id: str
    exec_id: str
    pid: int
    status: str
    exit_status: int = 0
    exited_at: str = ""
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    terminal: bool = False


class ExitStatus(Record):
    """How a process ended: the exit code, or 128 plus the signal."""

    code: int
    exited_at: str
    pid: int = 0


class ProcessInfo(Record):
    """A process inside a container; ``exec_id`` is set for those that an exec started."""

    pid: int
    exec_id: str = ""


class Lease(Record):
    """What keeps content and snapshots from the garbage collector."""

    lease_id: str
    labels: Mapping[str, str] = EMPTY
    created_at: str = ""


class LeaseResource(Record):
    """``type`` is content, ingests or snapshots/<snapshotter>."""

    type: str
    resource_id: str


class Event(Record):
    """One event. Which fields are filled depends on the topic; the others keep their defaults.

    ``object_id`` is the container ID, image name, digest, namespace name or snapshot key it is about;
    ``exec_id`` is empty for a container's init.
    """

    topic: str
    timestamp: str
    namespace: str
    type_url: str
    object_id: str = ""
    exec_id: str = ""
    pid: int = 0
    exit_status: int = 0
    exited_at: str = ""
    image: str = ""
    snapshotter: str = ""
    labels: Mapping[str, str] = EMPTY


class NetworkCounters(Record):
    """Bytes and packets of one interface, since it exists."""

    name: str
    received_bytes: int
    sent_bytes: int
    received_packets: int = 0
    sent_packets: int = 0


class TaskMetrics(Record):
    """What a container used so far, the same for cgroup v1 and v2.

    ``memory_bytes`` does not count the page cache that could be given back (Docker's way of counting).
    A limit of 0 means: none.
    """

    container_id: str
    timestamp: str
    cgroup_version: int
    cpu_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    memory_cache_bytes: int = 0
    pids: int = 0
    pids_limit: int = 0
    block_read_bytes: int = 0
    block_write_bytes: int = 0
    networks: tuple[NetworkCounters, ...] = ()
