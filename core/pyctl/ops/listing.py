"""``ps``: containers as Docker lists them, from one list of containers and one of tasks.

What a column needs beyond that (the command in the specification, mounts in labels) is looked at when it is asked for.
"""

from __future__ import annotations

from pyctl.ops.inspect_state import ContainerState, quick_status, read_state, time_key
from pyctl.spec.own_labels import IMAGE_LABEL, OWN_PREFIX
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyctl.containerd.records import Container, TaskStatus
    from pyctl.ops.session import Session
    from pyctl.spec.mounts import MountPoint
    from pyctl.state.containers import StateDir
    from pyctl_hookspecs.setup_network import PortMapping

_NO_PORTS = ('["none"]', '["host"]')


class ListedContainer(Record):
    """One line of ``ps``. ``ports`` are the published ones of a running container.

    Sizes are -1 unless they were asked for: ``size_rw_bytes`` is the writable layer's, ``size_root_bytes`` that and
    the image's together.
    """

    container: Container
    state: ContainerState
    ports: tuple[PortMapping, ...] = ()
    size_rw_bytes: int = -1
    size_root_bytes: int = -1

    @property
    def container_id(self) -> str:
        return self.container.container_id

    @property
    def name(self) -> str:
        return display_name(self.container.labels)

    @property
    def names(self) -> tuple[str, ...]:
        name = self.name
        return (name,) if name else ()

    @property
    def image(self) -> str:
        """As the user typed it, like Docker; as short as it can be where nobody noted that."""
        return self.container.labels.get(IMAGE_LABEL) or short_image(self.container.image)

    @property
    def command(self) -> tuple[str, ...]:
        """The process's arguments, without an init of ours in front."""
        return without_init(spec_args(self.container.spec_json))

    @property
    def created_at(self) -> str:
        return self.container.created_at

    @property
    def labels(self) -> Mapping[str, str]:
        """The user's and the image's; how pyctl and nerdctl keep their books is not shown."""
        return user_labels(self.container.labels)

    @property
    def exposed(self) -> tuple[str, ...]:
        """``80/tcp`` ...: what a running container listens on without publishing it."""
        return exposed_ports(self.container.labels) if self.state.pid else ()

    @property
    def mounts(self) -> tuple[MountPoint, ...]:
        from pyctl.spec.labels import mount_points

        return mount_points(self.container.labels)

    @property
    def networks(self) -> tuple[str, ...]:
        return network_names(self.container.labels)

    @property
    def runtime(self) -> str:
        return self.container.runtime_name

    @property
    def platform(self) -> str:
        return self.container.labels.get("nerdctl/platform", "")


def ls(
    session: Session,
    *,
    every: bool = False,
    last: int = -1,
    filters: Sequence[tuple[str, str]] = (),
    sizes: bool = False,
    brief: bool = False,
) -> tuple[ListedContainer, ...]:
    """Containers, the newest first: running ones, or with ``every`` all, or the ``last`` so many whatever their state.

    ``filters`` are pairs as typed after ``--filter``. ``brief`` is for callers that want names and IDs only: ports are
    left out, and so are the times and exit codes of those that run.

    Raises:
        InvalidArgumentError: an unknown filter or a value it does not take, in Docker's words.
        NotFoundError: ``before`` or ``since`` names no container.
    """
    from pyctl.state.containers import StateDir

    chosen = None
    if filters:
        from pyctl.ops.listing_filters import Chosen

        chosen = Chosen(session, filters)
        every = every or chosen.implies_all
    containers = session.client.containers.list()
    tasks = {task.container_id: task for task in session.client.tasks.list()}
    ordered = sorted(containers, key=lambda one: time_key(one.created_at), reverse=True)
    if chosen is not None:
        ordered = chosen.between(ordered)
    only_running = not every and last <= 0
    found: list[ListedContainer] = []
    sized = _Sizes(session) if sizes else None
    paths = session.paths
    for container in ordered:
        if 0 < last <= len(found):
            break
        task = tasks.get(container.container_id)
        if only_running and not _may_run(container, task):
            continue
        if chosen is not None and not chosen.by_labels(container):
            continue
        directory = StateDir(paths.state_dir(container.container_id))
        one = _listed(container, task, directory, brief=brief and chosen is None)
        if only_running and not one.state.is_running:
            continue
        if chosen is not None and not chosen.by_state(one):
            continue
        found.append(sized.add(one) if sized is not None else one)
    return tuple(found)


def _may_run(container: Container, task: TaskStatus | None) -> bool:
    """Without a look at the disk: one that is not up counts as running only while its policy brings it back."""
    status = quick_status(task)
    return status in ("running", "paused") or (not status and "containerd.io/restart.policy" in container.labels)


def _listed(container: Container, task: TaskStatus | None, directory: StateDir, *, brief: bool) -> ListedContainer:
    status = quick_status(task)
    if brief and status:
        return ListedContainer(container=container, state=ContainerState(status=status))
    state = read_state(container, task, directory, for_list=True)
    has_ports = not brief and state.pid and container.labels.get("nerdctl/networks") not in _NO_PORTS
    return ListedContainer(container=container, state=state, ports=published_ports(container, directory) if has_ports else ())


def published_ports(container: Container, directory: StateDir) -> tuple[PortMapping, ...]:
    """The port mappings on disk, or those in the label that older versions of nerdctl wrote."""
    entries = directory.ports()
    if not entries:
        text = container.labels.get("nerdctl/ports")
        if not text:
            return ()
        import json

        entries = json.loads(text) or []
    from pyctl.spec.ports import from_entries

    return from_entries(entries)


def port(session: Session, reference: str, private: str = "") -> tuple[str, ...]:
    """The lines of ``port``: every published port, or the addresses of one (``80``, ``80/udp``).

    Raises:
        NotFoundError: no such container.
        InvalidArgumentError: that port is not published; Docker's words.
    """
    from pyctl.ops.ending import state_of
    from pyctl.ops.lookup import find_container
    from pyctl.ops.tasks import find_task
    from pyctl.spec.ports import find_published, format_port_lines

    container = find_container(session.client, reference)
    task = find_task(session.client, container.container_id)
    is_up = quick_status(task) in ("running", "paused")
    ports = published_ports(container, state_of(session, container.container_id)) if is_up else ()
    return find_published(ports, private, reference) if private else format_port_lines(ports)


def display_name(labels: Mapping[str, str]) -> str:
    """The container's name; for one of Kubernetes' the same text as nerdctl's."""
    name = labels.get("nerdctl/name")
    if name is not None:
        return name
    pod = labels.get("io.kubernetes.pod.name")
    if not pod:
        return ""
    parts = (labels.get("io.kubernetes.pod.namespace", ""), pod, labels.get("io.kubernetes.container.name", ""))
    return "k8s://" + "/".join(part for part in parts if part)


_short: dict[str, str] = {}


def short_image(name: str) -> str:
    """The image's name as Docker shows it. Remembered: many containers have few images."""
    found = _short.get(name)
    if found is None:
        from pyctl_hookspecs.references import familiar

        found = _short[name] = familiar(name)
    return found


def spec_args(spec_json: bytes) -> tuple[str, ...]:
    """``process.args`` of a specification, without reading all the rest of it when it is written as everybody writes it."""
    import json

    start = spec_json.find(b'"args":[', max(spec_json.find(b'"process":{'), 0))
    if start >= 0:
        # Within a text a quote has a backslash before it, so this can only be the key.
        text = spec_json[start + 7 :].decode(errors="replace")
        arguments, _ = json.JSONDecoder().raw_decode(text)
        return tuple(map(str, arguments))
    if not spec_json:
        return ()
    return tuple(map(str, (json.loads(spec_json).get("process") or {}).get("args") or ()))


def without_init(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments as the user gave them: ``--init`` puts ``/sbin/docker-init --`` (nerdctl: ``tini``) before them."""
    if len(arguments) > 2 and arguments[1] == "--" and arguments[0].startswith("/sbin/"):
        return arguments[2:]
    return arguments


def has_init(arguments: tuple[str, ...]) -> bool:
    return without_init(arguments) is not arguments


def user_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without those in which pyctl, nerdctl and containerd keep their books."""
    return {
        key: value
        for key, value in labels.items()
        if not key.startswith(("nerdctl/", OWN_PREFIX, "containerd.io/", "io.containerd.image.config."))
    }


def exposed_ports(labels: Mapping[str, str]) -> tuple[str, ...]:
    text = labels.get("nerdctl/exposed-ports")
    if not text:
        return ()
    import json

    return tuple(json.loads(text) or ())


def network_names(labels: Mapping[str, str]) -> tuple[str, ...]:
    text = labels.get("nerdctl/networks")
    if not text:
        return ()
    import json

    return tuple(map(str, json.loads(text) or ()))


class _Sizes:
    """Disk usage of snapshots; what several containers stand on is asked once."""

    def __init__(self, session: Session) -> None:
        self._snapshots = session.client.snapshots
        self._below: dict[tuple[str, str], int] = {}

    def add(self, one: ListedContainer) -> ListedContainer:
        writable, whole = self.of(one.container)
        return one.replace(size_rw_bytes=writable, size_root_bytes=whole)

    def of(self, container: Container) -> tuple[int, int]:
        """Bytes of the writable layer, and of it with everything below; zero for a container without a snapshot."""
        from pyctl_hookspecs.errors import NotFoundError

        if not container.snapshotter or not container.snapshot_key:
            return 0, 0
        try:
            writable = self._snapshots.usage(container.snapshotter, container.snapshot_key).size_bytes
            parent = self._snapshots.stat(container.snapshotter, container.snapshot_key).parent
        except NotFoundError:
            return 0, 0
        return writable, writable + self._chain(container.snapshotter, parent)

    def _chain(self, snapshotter: str, name: str) -> int:
        if not name:
            return 0
        key = (snapshotter, name)
        if key not in self._below:
            size = self._snapshots.usage(snapshotter, name).size_bytes
            self._below[key] = size + self._chain(snapshotter, self._snapshots.stat(snapshotter, name).parent)
        return self._below[key]


def container_sizes(session: Session, container: Container) -> tuple[int, int]:
    """``SizeRw`` and ``SizeRootFs`` in bytes."""
    return _Sizes(session).of(container)
