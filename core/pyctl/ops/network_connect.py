"""``network connect`` and ``network disconnect``, for containers that run and for those that do not."""

from __future__ import annotations

import os

from pyctl.ops.network_changes import attachment_token, join_peers, store_endpoints
from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError, PyctlError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.records import Container
    from pyctl.lifecycle.amendment import Amendment
    from pyctl.lifecycle.journal import JournalEntry
    from pyctl.lifecycle.steps import Step
    from pyctl.ops.networking import PlannedNetwork
    from pyctl.ops.session import Session
    from pyctl.ops.starting import StartFacts
    from pyctl.spec.endpoints import Endpoint
    from pyctl.state.containers import StateDir

_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
_HOST = "container cannot be disconnected from host network or connected to host network"


def connect(session: Session, asked: Endpoint, reference: str) -> None:
    """Connect a container to one more network: at once if it runs, and at every later start.

    Raises:
        NotFoundError: no such network or container.
        ConflictError: it is connected already, or its kind of network allows no other; Docker's words.
        BaseExceptionGroup: it could not be connected; everything was undone, except what the group also names.
    """
    from pyctl.ops.networking import free_interface, plan_network
    from pyctl.ops.reconciling import pending, undo_abandoned
    from pyctl.ops.restoring import start_facts

    undo_abandoned(session)
    container_id = _container(session, reference).container_id
    label, name = _network_names(session, asked.network)
    asked = asked.replace(network=label)
    with pending(session, container_id):
        container = session.client.containers.get(container_id)  # as it is now that nobody else changes it
        facts = start_facts(session, container)
        state = _own_state(session, container)
        _refuse_kinds(facts, asked)
        amendment = _amendment_of_running(session, state, container_id)
        try:
            attachments = state.attachments() if amendment is not None else {}
            is_stored = any(endpoint.network == label for endpoint in facts.endpoints)
            if name in attachments or (amendment is None and is_stored):
                raise ConflictError(f"endpoint with name {facts.container_name} already exists in network {name}")
            taken = {str(one.get("interface")) for one in attachments.values()}
            if asked.interface in taken:
                raise ConflictError(f"interface {asked.interface} already exists in container {facts.container_name}")
            interface = asked.interface or free_interface(taken)
            planned = plan_network(session, facts, asked, interface, carries_ports=False)
            if planned.intent.namespace != "pinned":
                raise UnsupportedError(f"network driver {planned.driver} cannot connect a container that exists")
            others = tuple(endpoint for endpoint in facts.endpoints if endpoint.network != label)
            wanted = (*others, asked)
            if amendment is None:
                store_endpoints(session, container, wanted)
            else:
                _plug_in(session, container, planned, wanted, amendment)
        finally:
            if amendment is not None:
                amendment.close()


def disconnect(session: Session, network: str, reference: str, *, force: bool = False) -> None:
    """Take a container off a network: at once if it runs, and for every later start. Its last network may go too.

    With ``force`` the network itself need not exist any more.

    Raises:
        NotFoundError: no such network or container.
        ConflictError: not connected, or the network is the host's; Docker's words.
        BaseExceptionGroup: something could not be taken away; the next command tries again.
    """
    from pyctl.ops.reconciling import pending, undo_abandoned
    from pyctl.ops.restoring import start_facts

    undo_abandoned(session)
    container_id = _container(session, reference).container_id
    try:
        label, name = _network_names(session, network)
    except NotFoundError:
        if not force:
            raise
        label = name = network
    with pending(session, container_id):
        container = session.client.containers.get(container_id)
        facts = start_facts(session, container)
        state = _own_state(session, container)
        if facts.network_kind == "host" and name == "host":
            raise ConflictError(_HOST)
        if facts.network_kind:
            raise ConflictError(f"container {container_id} is not connected to network {name}")
        amendment = _amendment_of_running(session, state, container_id)
        try:
            endpoints = tuple(endpoint for endpoint in facts.endpoints if endpoint.network != label)
            if amendment is not None and name in state.attachments():
                _unplug(session, facts, label, name, state, amendment)
            elif len(endpoints) == len(facts.endpoints):
                raise ConflictError(f"container {container_id} is not connected to network {name}")
            else:
                store_endpoints(session, container, endpoints)
        finally:
            if amendment is not None:
                amendment.close()


def _plug_in(
    session: Session, container: Container, planned: PlannedNetwork, wanted: tuple[Endpoint, ...], amendment: Amendment
) -> None:
    """Carry out the change of a running container's plan."""
    from pyctl.lifecycle.apply import Chapter, apply
    from pyctl.lifecycle.journal import JournalEntry
    from pyctl.lifecycle.steps import Step
    from pyctl.ops import networking
    from pyctl.ops.signals import cancelling
    from pyctl.ops.undo import undoer
    from pyctl.ops.watching import watcher

    container_id, interface = container.container_id, planned.request.interface
    stays = _step_name(interface)
    names = (f"endpoint-{interface}", f"attachment-{interface}", f"peers-{interface}")
    connection = JournalEntry(stays, f"network/{planned.driver}", planned.intent.undo_token, ("netns",))
    amendment.amend(stands_on=("netns", "hosts"), stays=[connection, *_standing_on(amendment.path, connection)])
    steps: list[Step] = [
        Step(
            name=names[0],
            says=f"have it connected to network {planned.name} at every start",
            provider="core/endpoint",
            undo_token=f"{container_id}/{wanted[-1].network}",
            do=lambda _: store_endpoints(session, container, wanted),
        ),
        Step(
            name=names[1],
            says=planned.intent.says,
            provider="core/attachment",
            undo_token=attachment_token(planned.driver, planned.request, planned.intent.undo_token),
            late=planned.intent.late,
            do=lambda _: networking.connect(session, planned),
        ),
        Step(
            name=names[2],
            says="enter the new addresses for its peers",
            provider="core/peers",
            undo_token=f"{container_id}/{planned.name}",
            needs=names[:2],
            do=lambda results: join_peers(session, container_id, planned, results[names[1]], stays),
        ),
    ]
    with cancelling(session.cancel.set):
        onlooker = watcher(session, "connect", steps)
        apply([Chapter(journal=amendment, steps=tuple(steps))], undoer(session), session.cancel, onlooker)


def _unplug(session: Session, facts: StartFacts, label: str, network: str, state: StateDir, amendment: Amendment) -> None:
    """Undo one connection of a running container; once it is begun, whoever comes next goes on with it.

    ``label`` is the network's name in the container's labels.
    """
    from pyctl.lifecycle.journal import read_plan

    container_id = facts.container_id
    attachment = state.attachments()[network]
    interface = str(attachment["interface"])
    step = str(attachment.get("step") or _step_name(interface))
    plan = read_plan(state.start_journal)
    entry = next((one for one in plan.entries if one.name == step), None) if plan else None
    if entry is None:
        raise PyctlError(f"the plan of container {facts.container_name} does not say how it was connected to {network}")
    driver = entry.provider.partition("/")[2]
    if not session.hooks.has_hook("network", driver, "detach_network"):
        raise UnsupportedError(f"network driver {driver} cannot disconnect a running container")
    token = f"{driver}/{interface}/{network}/{container_id}/{entry.undo_token}"
    attached = f"attachment-{interface}"
    steps = [
        _undoing(
            f"endpoint-{interface}", f"no longer connect network {network} at a start", "core/endpoint", f"{container_id}/{label}"
        ),
        _undoing(attached, f"take {interface} out of the container", "core/attachment", token),
        _undoing(
            f"peers-{interface}",
            f"take its names away from its peers on {network}",
            "core/peers",
            f"{container_id}/{network}",
            needs=(attached,),
        ),
    ]
    amendment.amend(stands_on=("netns", "hosts"), replaces=(step,))
    errors = _undo_steps(session, steps, amendment)
    if errors:
        raise BaseExceptionGroup(f"could not disconnect container {facts.container_name} from {network}", errors)
    amendment.discard()


def _undoing(name: str, says: str, provider: str, token: str, *, needs: tuple[str, ...] = ()) -> Step:
    """A step that was done before, for its undo alone."""
    from pyctl.lifecycle.steps import Step

    return Step(name=name, says=says, provider=provider, undo_token=token, needs=needs, do=lambda _: None)


def _undo_steps(session: Session, steps: list[Step], amendment: Amendment) -> list[BaseException]:
    """Undo them under the eyes of the observers; an interrupt waits for the end."""
    from time import monotonic

    from pyctl.lifecycle.journal import JournalEntry
    from pyctl.lifecycle.undo import undo_all
    from pyctl.ops.signals import cancelling
    from pyctl.ops.undo import undoer
    from pyctl.ops.watching import watcher

    onlooker = watcher(session, "disconnect", steps)
    undo = undoer(session)
    by_token = {(step.provider, step.undo_token): step for step in steps}

    def observed(provider: str, token: str) -> None:
        step, started = by_token[provider, token], monotonic()
        onlooker.before(step)
        undo(provider, token)
        onlooker.after(step, monotonic() - started)

    with cancelling(session.cancel.set):
        amendment.begin(steps)
        return undo_all([JournalEntry(s.name, s.provider, s.undo_token, s.needs) for s in steps], observed)


def _standing_on(journal: str, connection: JournalEntry) -> list[JournalEntry]:
    """The entry that takes the container's names away, which is to happen before its addresses are given back."""
    from pyctl.lifecycle.journal import JournalEntry, read_plan

    plan = read_plan(journal)
    return [
        JournalEntry(entry.name, entry.provider, entry.undo_token, (*entry.needs, connection.name))
        for entry in (plan.entries if plan else ())
        if entry.name == "hosts"
    ]


def _amendment_of_running(session: Session, state: StateDir, container_id: str) -> Amendment | None:
    """The plan of a container that runs, to be changed; None for one that does not run."""
    from pyctl.lifecycle.amendment import Amendment
    from pyctl.ops.tasks import find_task

    if not _runs(session, container_id):
        return None
    amendment = Amendment.of(state.start_journal)
    if amendment is None:
        if find_task(session.client, container_id) is None:
            return None  # it ended just now
        raise UnsupportedError(f"container {container_id} was started by another program: stop it first")
    if not _runs(session, container_id):  # it ended while we waited for whoever had the plan
        amendment.close()
        return None
    return amendment


def _runs(session: Session, container_id: str) -> bool:
    from pyctl.ops.tasks import find_task

    status = find_task(session.client, container_id)
    return status is not None and status.status in ("running", "paused", "pausing")


def _container(session: Session, reference: str) -> Container:
    from pyctl.ops.lookup import find_container

    return find_container(session.client, reference)


def _network_names(session: Session, reference: str) -> tuple[str, str]:
    """A network's name in the labels of containers, and its own: they differ for a default one by another name."""
    from pyctl.spec.endpoints import kind_of
    from pyctl.state import networks

    settings = session.settings
    if reference in ("bridge", "default"):
        default = networks.ensure_default(settings.cni_netconfpath, session.namespace, bridge_ip=settings.bridge_ip)
        return "bridge", default.name
    if kind_of(reference) in ("container", "ns"):
        raise InvalidArgumentError(f"invalid network {reference}: a container cannot be connected to it")
    name = networks.find(settings.cni_netconfpath, session.namespace, reference).name
    return name, name


def _refuse_kinds(facts: StartFacts, asked: Endpoint) -> None:
    from pyctl.spec.endpoints import is_user_defined

    if asked.network == "host":
        raise ConflictError(_HOST)
    if "none" in (facts.network_kind, asked.network):
        raise ConflictError(_PRIVATE)
    if facts.network_kind:
        raise ConflictError(_SHARED)
    if asked.aliases and not is_user_defined(asked.network):
        raise InvalidArgumentError("network-scoped alias is supported only for containers in user defined networks")


def _own_state(session: Session, container: Container) -> StateDir:
    """
    Raises:
        UnsupportedError: another program made the container, and would not see the change.
    """
    from pyctl.ops.ending import state_of

    state = state_of(session, container.container_id)
    if not os.path.exists(state.create_journal):
        raise UnsupportedError(f"container {container.container_id} was made by another program: its networks cannot be changed")
    return state


def _step_name(interface: str) -> str:
    return f"network-{interface}"
