"""Everything ``inspect`` needs to know about one container, gathered once."""

from __future__ import annotations

from pyctl.ops.inspect_request import load_request
from pyctl.ops.inspect_state import ContainerState, read_state
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.containerd.records import Container
    from pyctl.ops.inspect_request import CreateRequest
    from pyctl.ops.session import Session
    from pyctl.spec.mounts import MountPoint
    from pyctl.spec.options import ContainerOptions
    from pyctl_hookspecs.setup_network import PortMapping


class ContainerFacts(Record):
    """``options`` and ``image_config`` are None when nobody wrote them down: then the specification has to do.

    ``ports`` are the mappings on disk, whether it runs or not; ``attachments`` what the network drivers did, by network.
    """

    container: Container
    spec: Mapping[str, Any]
    state: ContainerState
    state_dir: str
    options: ContainerOptions | None = None
    image_id: str = ""
    image_config: Mapping[str, Any] | None = None
    mounts: tuple[MountPoint, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    attachments: Mapping[str, Mapping[str, Any]]
    exec_ids: tuple[str, ...] = ()

    @property
    def labels(self) -> Mapping[str, str]:
        return self.container.labels

    @property
    def process(self) -> Mapping[str, Any]:
        return self.spec.get("process") or {}

    @property
    def linux(self) -> Mapping[str, Any]:
        return self.spec.get("linux") or {}

    def label_json(self, name: str) -> Any:
        """The value of a label that holds JSON; None without one."""
        import json

        text = self.labels.get(f"nerdctl/{name}")
        return json.loads(text) if text else None

    def has_namespace(self, kind: str) -> bool:
        """Does the container have a namespace of this kind, its own or a joined one, rather than the machine's?"""
        return any(one.get("type") == kind for one in self.linux.get("namespaces") or ())

    def mount_source(self, destination: str) -> str:
        """Where a mounted file is on the machine, empty if there is no such mount."""
        return next((m.get("source", "") for m in self.spec.get("mounts") or () if m.get("destination") == destination), "")


def gather(session: Session, container: Container) -> ContainerFacts:
    """Ask the daemon for the task, read the state directory, decode the specification."""
    import json

    from pyctl.ops.ending import state_of
    from pyctl.ops.listing import published_ports
    from pyctl.ops.tasks import find_task
    from pyctl.spec.labels import mount_points

    container_id = container.container_id
    directory = state_of(session, container_id)
    state = read_state(container, find_task(session.client, container_id), directory)
    request = load_request(directory.path)
    image_id, image_config = _image(session, container, request)
    return ContainerFacts(
        container=container,
        spec=json.loads(container.spec_json) if container.spec_json else {},
        state=state,
        state_dir=directory.path,
        options=request.options if request else None,
        image_id=image_id,
        image_config=image_config,
        mounts=mount_points(container.labels),
        ports=published_ports(container, directory),
        attachments=_attachments(session, container_id, directory.attachments()) if state.pid else {},
        exec_ids=_exec_ids(session, container_id) if state.pid else (),
    )


def _image(session: Session, container: Container, request: CreateRequest | None) -> tuple[str, Mapping[str, Any] | None]:
    """ID and configuration of the image.

    The ID is what ``images`` shows (the target's digest) as long as the name still stands for the same image, else the
    digest of the configuration, which every command understands too.
    """
    from pyctl.ops import images
    from pyctl_hookspecs.errors import NotFoundError

    try:
        image = session.client.images.get(container.image)
        found = images.load_config(session.client, image, container.labels.get("nerdctl/platform", ""), any_platform=True)
    except NotFoundError:
        return (request.image_id, request.image_config) if request else ("", None)
    if request is None:
        return image.target.digest, found.config.get("config") or {}
    is_same = found.config_digest == request.image_id
    return image.target.digest if is_same else request.image_id, request.image_config


def _attachments(session: Session, container_id: str, stored: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Ours, or what nerdctl left in the store of hosts files: CNI results by network name."""
    if stored:
        return stored
    import json

    try:
        with open(f"{session.paths.etchosts}/{container_id}/meta.json", "rb") as file:
            networks = json.loads(file.read()).get("Networks") or {}
    except FileNotFoundError:
        return {}
    return {name: _from_cni(result or {}) for name, result in networks.items()}


def _from_cni(result: Mapping[str, Any]) -> dict[str, Any]:
    inside: Mapping[str, Any] = next((link for link in result.get("interfaces") or () if link.get("sandbox")), {})
    addresses = result.get("ips") or ()
    return {
        "interface": inside.get("name", ""),
        "mac_address": inside.get("mac", ""),
        "addresses": [ip.get("address", "") for ip in addresses],
        "gateway": next((ip["gateway"] for ip in addresses if ip.get("gateway")), ""),
    }


def _exec_ids(session: Session, container_id: str) -> tuple[str, ...]:
    from pyctl_hookspecs.errors import NotFoundError

    try:
        found = session.client.tasks.pids(container_id)
    except NotFoundError:
        return ()  # it ended just now
    return tuple(process.exec_id for process in found if process.exec_id)
