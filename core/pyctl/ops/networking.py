"""A container's networks while it starts: what each driver would do, and the steps that do it."""

from __future__ import annotations

from pyctl.lifecycle.steps import Step
from pyctl_hookspecs.errors import InvalidArgumentError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyctl.ops.session import Session
    from pyctl.ops.starting import StartFacts
    from pyctl.spec.endpoints import Endpoint
    from pyctl.state.hosts import HostsEntry
    from pyctl_hookspecs.setup_network import NetworkAttachment, NetworkIntent, NetworkRequest


class PlannedNetwork(Record):
    """One network of a container: who connects it, what it is asked, what it intends.

    The network with the highest ``gateway_priority`` gets the default route, the first one among equals. ``path`` is the
    network's file, empty if it needs none.
    """

    driver: str
    name: str
    request: NetworkRequest
    intent: NetworkIntent
    gateway_priority: int = 0
    path: str = ""


def plan_networks(session: Session, facts: StartFacts) -> tuple[PlannedNetwork, ...]:
    """Ask each network's driver what it would do. Makes the default network's configuration if it is missing.

    Raises:
        NotFoundError: no such network, or no driver for it.
        InvalidArgumentError: kinds that cannot be mixed, or a network twice (once by name, once by ID).
    """
    from pyctl.spec.endpoints import refuse_repeated

    taken = {endpoint.interface for endpoint in facts.endpoints if endpoint.interface}
    if len(taken) < sum(bool(endpoint.interface) for endpoint in facts.endpoints):
        raise InvalidArgumentError("conflicting options: two networks with one interface name", exit_code=125)
    planned = []
    for index, endpoint in enumerate(facts.endpoints):
        interface = endpoint.interface or free_interface(taken)
        taken.add(interface)
        planned.append(plan_network(session, facts, endpoint, interface, carries_ports=index == 0))
    refuse_repeated(network.name for network in planned)
    if len({network.intent.namespace for network in planned}) > 1:
        raise InvalidArgumentError("conflicting options: networks that need different kinds of network namespaces")
    return tuple(planned)


def plan_network(
    session: Session, facts: StartFacts, endpoint: Endpoint, interface: str, *, carries_ports: bool
) -> PlannedNetwork:
    """Ask one network's driver what it would do."""
    from pyctl.state import networks
    from pyctl_hookspecs.setup_network import NetworkRequest

    driver, name, conflist, path = endpoint.kind, endpoint.network, "", ""
    if not driver:
        settings = session.settings
        network = networks.resolve(
            settings.cni_netconfpath,
            session.namespace,
            endpoint.network,
            bridge_ip=settings.bridge_ip,
            engine=settings.network_engine,
        )
        driver, name, conflist, path = network.driver, network.name, network.conflist, network.path
    request = NetworkRequest(
        container_id=facts.container_id,
        container_name=facts.container_name,
        namespace=session.namespace,
        network=name,
        interface=interface,
        netns_path=session.paths.netns(facts.container_id),
        conflist=conflist,
        ports=facts.ports if carries_ports else (),
        ip=endpoint.ip,
        ip6=endpoint.ip6,
        mac_address=endpoint.mac_address,
        hostname=facts.hostname,
        aliases=endpoint.aliases,
    )
    intent = session.hooks.plan_network(driver, request, session.host)
    return PlannedNetwork(
        driver=driver, name=name, request=request, intent=intent, gateway_priority=endpoint.gateway_priority, path=path
    )


def free_interface(taken: set[str]) -> str:
    """The first of eth0, eth1 ... that is not taken."""
    number = 0
    while f"eth{number}" in taken:
        number += 1
    return f"eth{number}"


def is_pinned(planned: Sequence[PlannedNetwork]) -> bool:
    """Has the container a network namespace that we keep? One without any network has: it may be connected later."""
    return not planned or planned[0].intent.namespace == "pinned"


def spec_namespace(session: Session, container_id: str, planned: Sequence[PlannedNetwork]) -> str | None:
    """The network namespace for the OCI spec: None the host's, empty a new one, else the path to join."""
    if is_pinned(planned):
        return session.paths.netns(container_id)
    intent = planned[0].intent
    if intent.namespace == "host":
        return None
    return "" if intent.namespace == "new" else intent.join_path


def network_steps(
    session: Session, facts: StartFacts, planned: tuple[PlannedNetwork, ...], *, after: tuple[str, ...]
) -> list[Step]:
    """Pin the namespace if the drivers want one, connect it to every network, and tell the peers."""
    steps: list[Step] = []
    needs: tuple[str, ...] = ()
    if is_pinned(planned):
        netns_path = session.paths.netns(facts.container_id)
        needs = ("netns",)
        steps.append(
            Step(
                name="netns",
                says=f"pin a network namespace at {netns_path}",
                provider="core/netns",
                undo_token=netns_path,
                do=lambda _: _pin(netns_path),
            )
        )
    names = tuple(f"network-{index}" for index in range(len(planned)))
    steps.extend(connect_step(session, name, network, needs=needs) for name, network in zip(names, planned, strict=True))
    steps.append(
        Step(
            name="hosts",
            says="enter the container's addresses for its peers",
            provider="core/hosts",
            undo_token=facts.container_id,
            needs=(*names, *after) or needs,
            do=lambda results: _enter(session, facts, planned, [results[name] for name in names]),
        )
    )
    return steps


def connect_step(session: Session, name: str, network: PlannedNetwork, *, needs: tuple[str, ...]) -> Step:
    return Step(
        name=name,
        says=network.intent.says,
        provider=f"network/{network.driver}",
        undo_token=network.intent.undo_token,
        late=network.intent.late,
        needs=needs,
        do=lambda _: connect(session, network),
    )


def _pin(path: str) -> None:
    from pyctl.state import netns

    netns.create(path)


def connect(session: Session, network: PlannedNetwork) -> NetworkAttachment:
    """Have the driver connect the container, unless somebody has removed the network since it was planned.

    The plan is noted by now: who removes a network after this look finds the note and leaves the network alone.

    Raises:
        NotFoundError: removed; Docker's words.
    """
    if network.path:
        from pyctl.state.conflists import check_present

        check_present(network.path, network.name)
    return session.hooks.setup_network(network.driver, network.request, network.intent.undo_token, session.host)


def _enter(
    session: Session, facts: StartFacts, planned: tuple[PlannedNetwork, ...], attachments: list[NetworkAttachment]
) -> None:
    """Write what the drivers did where ``inspect``, peers and nerdctl look for it."""
    from pyctl.ops.naming import serve
    from pyctl.spec.ports import for_next_start, to_network_config
    from pyctl.state.containers import StateDir
    from pyctl.state.hosts import HostsStore

    state = StateDir(session.paths.state_dir(facts.container_id))
    is_published = attachments and (attachments[0].ports or planned[0].intent.namespace == "pinned")
    ports = attachments[0].ports if is_published else facts.ports if attachments else ()
    if attachments or not facts.ports:
        again = for_next_start(facts.ports, ports)
        state.save_ports(*(to_network_config(some).get("portMappings", []) for some in (ports, again)))
    kept = [
        (network.name, attachment_fields(attachment, f"network-{index}"))
        for index, (network, attachment) in enumerate(zip(planned, attachments, strict=True))
    ]
    state.save_attachments(dict(kept))
    if facts.donor_id:
        return  # it shares the other container's hosts file
    if len(planned) > 1:
        _settle_default_route(planned, attachments)
    results = tuple((p.name, a.cni_result) for p, a in zip(planned, attachments, strict=True))
    aliases = tuple((p.name, alias) for p in planned for alias in p.request.aliases)
    HostsStore(session.paths.data_store, session.namespace).acquire(hosts_entry(facts, results, aliases))
    serve(session, facts.container_id)


def _settle_default_route(planned: tuple[PlannedNetwork, ...], attachments: list[NetworkAttachment]) -> None:
    """All want it; real CNI plug-ins give it to whoever comes last, ours to whoever comes first."""
    import json

    from pyctl.state import default_route

    pairs = sorted(zip(planned, attachments, strict=True), key=lambda pair: -pair[0].gateway_priority)
    networks = [(a.interface, default_route.offered(json.loads(a.cni_result))) for _, a in pairs if a.cni_result]
    default_route.settle(planned[0].request.netns_path, networks)


def attachment_fields(attachment: NetworkAttachment, step: str) -> dict[str, Any]:
    """What is kept of an attachment in the state directory; the CNI result is in the hosts store, its token in the journal."""
    return {**attachment.as_dict(), "cni_result": "", "step": step}


def hosts_entry(facts: StartFacts, results: tuple[tuple[str, str], ...], aliases: tuple[tuple[str, str], ...]) -> HostsEntry:
    from pyctl.state.hosts import HostsEntry

    return HostsEntry(
        container_id=facts.container_id,
        container_name=facts.container_name,
        hostname=facts.hostname,
        domainname=facts.domainname,
        extra_hosts=facts.extra_hosts,
        networks=results,
        aliases=aliases,
    )
