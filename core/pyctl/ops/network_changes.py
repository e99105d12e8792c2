"""What ``network connect`` does to a running container, each with what undoes it; ``disconnect`` is the undoing.

Tokens: ``endpoint`` and ``peers`` ``<container>/<network>``, ``attachment``
``<driver>/<interface>/<network>/<container>/<the driver's own token>``.
"""

from __future__ import annotations

from pyctl_hookspecs.errors import NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl.containerd.records import Container
    from pyctl.ops.networking import PlannedNetwork
    from pyctl.ops.session import Session
    from pyctl.spec.endpoints import Endpoint
    from pyctl_hookspecs.setup_network import NetworkAttachment, NetworkRequest


def store_endpoints(session: Session, container: Container, endpoints: Sequence[Endpoint]) -> None:
    """Keep in the container's labels what its next start connects."""
    from pyctl.spec.endpoints import LABELS, to_labels

    wanted = to_labels(endpoints)
    labels = {key: value for key, value in container.labels.items() if key not in LABELS} | wanted
    changed = [f"labels.{key}" for key in LABELS if container.labels.get(key) != wanted.get(key)]
    if changed:
        session.client.containers.update(container.replace(labels=labels), changed)


def forget_endpoint(session: Session, container_id: str, network: str) -> None:
    """The next start does not connect this network. A container that is gone, or never had it, counts as done."""
    from pyctl.spec.endpoints import from_labels

    try:
        container = session.client.containers.get(container_id)
    except NotFoundError:
        return
    endpoints = from_labels(container.labels)
    store_endpoints(session, container, [endpoint for endpoint in endpoints if endpoint.network != network])


def join_peers(session: Session, container_id: str, planned: PlannedNetwork, attachment: NetworkAttachment, step: str) -> None:
    """Enter a new connection where ``inspect`` and the peers look; ``step`` is its name in the journal."""
    from pyctl.ops.ending import state_of
    from pyctl.ops.naming import serve
    from pyctl.ops.networking import attachment_fields
    from pyctl.state.hosts import HostsStore

    store = HostsStore(session.paths.data_store, session.namespace)
    state = state_of(session, container_id)
    state.save_attachments({**state.attachments(), planned.name: attachment_fields(attachment, step)})
    entry = store.entry(container_id)
    if entry is None:
        return  # its exit is being dealt with
    others = tuple(pair for pair in entry.networks if pair[0] != planned.name)
    aliases = tuple(pair for pair in entry.aliases if pair[0] != planned.name)
    store.acquire(
        entry.replace(
            networks=(*others, (planned.name, attachment.cni_result)),
            aliases=(*aliases, *((planned.name, alias) for alias in planned.request.aliases)),
        )
    )
    settle_default_route(session, container_id)
    serve(session, container_id)


def leave_peers(session: Session, container_id: str, network: str) -> None:
    """Its peers on a network forget the container; a network it is not entered with counts as done."""
    from pyctl.ops.ending import state_of
    from pyctl.ops.naming import serve
    from pyctl.state.hosts import HostsStore

    store = HostsStore(session.paths.data_store, session.namespace)
    entry = store.entry(container_id)
    if entry is not None and (any(name == network for name, _ in entry.networks) or not store.is_settled(container_id)):
        store.acquire(
            entry.replace(
                networks=tuple(pair for pair in entry.networks if pair[0] != network),
                aliases=tuple(pair for pair in entry.aliases if pair[0] != network),
            )
        )
        serve(session, container_id)
    state = state_of(session, container_id)
    attachments = state.attachments()
    attachment = attachments.pop(network, None)
    if attachment is None:
        return
    if attachment.get("ports"):
        state.withdraw_ports()
    state.save_attachments(attachments)


def attachment_token(driver: str, request: NetworkRequest, undo_token: str) -> str:
    return f"{driver}/{request.interface}/{request.network}/{request.container_id}/{undo_token}"


def detach(session: Session, token: str) -> None:
    """Take an interface out of a namespace that lives on, then undo what its driver did."""
    driver, interface, network, container_id, undo_token = token.split("/", 4)
    netns_path = session.paths.netns(container_id)
    if _is_pinned(netns_path) and session.hooks.has_hook("network", driver, "detach_network"):
        session.hooks.detach_network(
            driver, _request(session, network, interface, container_id, netns_path), undo_token, session.host
        )
    session.hooks.cleanup("network", driver, undo_token, session.host)
    if _is_pinned(netns_path):
        settle_default_route(session, container_id, without=network)


def settle_default_route(session: Session, container_id: str, *, without: str = "") -> None:
    """One of a running container's networks has the default route: the one that a start would give it to.

    ``without`` is a network that is going.
    """
    import json

    from pyctl.ops.ending import state_of
    from pyctl.spec.endpoints import from_labels
    from pyctl.state import default_route
    from pyctl.state.hosts import HostsStore

    try:
        endpoints = from_labels(session.client.containers.get(container_id).labels)
    except NotFoundError:
        return
    attachments = state_of(session, container_id).attachments()
    entry = HostsStore(session.paths.data_store, session.namespace).entry(container_id)
    results = dict(entry.networks) if entry else {}
    rank = {one.network: (-one.gateway_priority, position) for position, one in enumerate(endpoints)}
    names = sorted((name for name in attachments if name in results and name != without), key=lambda n: rank.get(n, (0, 0)))
    default_route.settle(
        session.paths.netns(container_id),
        [(attachments[name]["interface"], default_route.offered(json.loads(results[name]))) for name in names],
    )


def _is_pinned(path: str) -> bool:
    from pyctl.state import netns

    return netns.is_pinned(path)


def _request(session: Session, network: str, interface: str, container_id: str, netns_path: str) -> NetworkRequest:
    """As much of the request as can be told from a token; the network's configuration may be gone."""
    from pyctl.state import networks
    from pyctl_hookspecs.setup_network import NetworkRequest

    try:
        conflist = networks.find(session.settings.cni_netconfpath, session.namespace, network).conflist
    except PyctlError:  # removed, or its file is broken
        conflist = ""
    return NetworkRequest(
        container_id=container_id,
        container_name="",
        namespace=session.namespace,
        network=network,
        interface=interface,
        netns_path=netns_path,
        conflist=conflist,
    )
