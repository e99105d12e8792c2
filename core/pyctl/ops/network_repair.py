"""``network repair``: put back what somebody took away from running containers, take away what belongs to none."""

from __future__ import annotations

import fcntl
import os

from pyctl_hookspecs.errors import NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyctl.containerd.records import Container
    from pyctl.lifecycle.journal import JournalEntry
    from pyctl.ops.session import Session
    from pyctl_hookspecs.setup_network import ConnectedNetwork

_ID_LENGTH = 64


def repair(session: Session) -> tuple[list[str], list[BaseException]]:
    """Repair every network connection of this namespace; one line for each repair, and what could not be repaired.

    Only one process at a time does this for a namespace; another waits.
    """
    from pyctl.ops.reconciling import undo_abandoned
    from pyctl.state.locks import Lock

    lines = undo_abandoned(session)
    directory = session.paths.runtime_dir
    os.makedirs(directory, mode=0o755, exist_ok=True)
    errors: list[BaseException] = []
    with Lock(f"{directory}/.{session.namespace}.repair.lock"), Living(session) as living:
        found: dict[str, list[ConnectedNetwork]] = {}
        for container in _running(session):
            try:
                for driver, connection in connections(session, container):
                    found.setdefault(driver, []).append(connection)
            except PyctlError as error:
                errors.append(error)
        for driver in dict.fromkeys((*found, *_others(session))):
            connected = tuple(found.get(driver, ()))
            try:
                lines += session.hooks.repair_networks(driver, connected, living, session.host)
            except (PyctlError, OSError) as error:
                errors.append(error)
            errors += _take_back(session, driver, connected)
        try:
            lines += _leftovers(session, living)
        except (PyctlError, OSError) as error:
            errors.append(error)
    return lines, errors


def after_removal(session: Session, container_id: str) -> None:
    """Release what a container had that another tool removed: with its directory went the plan that says what to undo.

    Does nothing for one that has its directory, or that left nothing.

    Raises:
        BaseExceptionGroup: what could not be released; the keeper tries again.
    """
    from pyctl.ops.ending import state_of

    if state_of(session, container_id).exists() or not os.path.exists(session.paths.netns(container_id)):
        return
    _, errors = repair(session)
    if errors:
        raise BaseExceptionGroup(f"could not release everything of container {container_id}", errors)


def connections(session: Session, container: Container) -> Iterator[tuple[str, ConnectedNetwork]]:
    """A running container's connections as they should be, each with its driver; none for one that nerdctl started.

    Raises:
        PyctlError: a network's configuration is gone or broken.
    """
    import json

    from pyctl.lifecycle.journal import read_plan
    from pyctl.ops.ending import state_of
    from pyctl.ops.networking import plan_network
    from pyctl.ops.restoring import start_facts
    from pyctl.state.hosts import HostsStore
    from pyctl_hookspecs.setup_network import ConnectedNetwork, NetworkAttachment, PortMapping

    container_id = container.container_id
    state = state_of(session, container_id)
    plan = read_plan(state.start_journal)
    attachments = state.attachments()
    if plan is None or not plan.is_complete or not attachments:
        return
    entries = {entry.name: entry for entry in plan.entries}
    results = HostsStore(session.paths.data_store, session.namespace).networks_of(container_id)
    facts = start_facts(session, container)
    if facts.network_kind:
        return  # the host's network, another container's, or none: nothing there is ours to repair
    for index, endpoint in enumerate(facts.endpoints):
        planned = plan_network(session, facts, endpoint, "eth0", carries_ports=index == 0)
        kept = dict(attachments.get(planned.name) or {})
        entry = entries.get(kept.pop("step", ""))
        if entry is None:
            continue  # it is being connected or disconnected in this moment
        driver, token = _driver_and_token(entry)
        result = results.get(planned.name)
        kept["ports"] = tuple(PortMapping(**port) for port in kept.get("ports") or ())
        kept["addresses"] = tuple(kept.get("addresses") or ())
        kept["cni_result"] = json.dumps(result, separators=(",", ":")) if result else ""
        known = {name: value for name, value in kept.items() if name in NetworkAttachment.__fields__}
        attachment = NetworkAttachment(**known)
        request = planned.request.replace(interface=attachment.interface)
        yield driver, ConnectedNetwork(request=request, undo_token=token, attachment=attachment)


class Living:
    """Asked for a container's ID: does it run, or may it be starting? Until the context ends, who is denied cannot start."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: dict[str, int] = {}

    def __enter__(self) -> Living:
        return self

    def __exit__(self, *_: object) -> None:
        for container_id, note in self._held.items():
            path = self._note(container_id)
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            os.close(note)
        self._held.clear()

    def __call__(self, container_id: str) -> bool:
        from pyctl.lifecycle.journal import open_locked
        from pyctl.ops.ending import is_let_in, state_of

        session = self._session
        if container_id in self._held:
            return False
        path = self._note(container_id)
        if os.path.exists(path):
            return True  # being created, started, changed or undone
        state = state_of(session, container_id)
        if os.path.exists(state.start_journal) or is_let_in(session, container_id):
            return True
        if not self._is_known(container_id):
            return os.path.exists(path)  # created between the two looks
        if not os.path.exists(state.create_journal):
            return True  # nerdctl's, or of another data root: nothing here says whether it runs
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            note = open_locked(path, os.O_CREAT, fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        self._held[container_id] = note
        if os.path.exists(state.start_journal):  # it was started while we looked
            del self._held[container_id]
            os.unlink(path)
            os.close(note)
            return True
        return False

    def _note(self, container_id: str) -> str:
        return f"{self._session.paths.data_store}/pending/{self._session.namespace}/{container_id}"

    def _is_known(self, container_id: str) -> bool:
        try:
            self._session.client.containers.get(container_id)
        except NotFoundError:
            return False
        return True


def _running(session: Session) -> list[Container]:
    from pyctl.ops.networks import ACTIVE

    active = {task.container_id for task in session.client.tasks.list() if task.status in ACTIVE}
    return [container for container in session.client.containers.list() if container.container_id in active]


def _driver_and_token(entry: JournalEntry) -> tuple[str, str]:
    """``network/<driver>`` of a start; a later ``network connect`` keeps the driver in the token."""
    kind, _, driver = entry.provider.partition("/")
    if kind == "network":
        return driver, entry.undo_token
    driver, _interface, _network, _container_id, token = entry.undo_token.split("/", 4)
    return driver, token


def _others(session: Session) -> list[str]:
    """Every driver that can repair may have left something of a container that no longer runs."""
    return [name for name in session.hooks.registry.names("network") if name not in ("host", "none", "container", "ns")]


def _take_back(session: Session, driver: str, connected: tuple[ConnectedNetwork, ...]) -> list[BaseException]:
    """Who ended while it was repaired has nothing any more: what was put back goes again."""
    from pyctl.ops.ending import state_of

    errors: list[BaseException] = []
    for one in connected:
        if not os.path.exists(state_of(session, one.request.container_id).start_journal):
            try:
                session.hooks.cleanup("network", driver, one.undo_token, session.host)
            except (PyctlError, OSError) as error:
                errors.append(error)
    return errors


def _leftovers(session: Session, is_alive: Callable[[str], bool]) -> Iterator[str]:
    """Names, pinned namespaces, ports and resolvers of containers that do not run."""
    from pyctl.ops.undo import undoer
    from pyctl.state.hosts import HostsStore

    undo, paths, prefix = undoer(session), session.paths, f"{session.namespace}-"
    for container_id in HostsStore(paths.data_store, session.namespace).metas():
        if not is_alive(container_id):
            undo("core/hosts", container_id)
            yield f"took container {container_id[:12]} out of its peers' hosts files"
    for kind in ("names", "ports"):
        for name in _names(f"{paths.data_store}/keeper/{kind}"):
            container_id = name.removeprefix(prefix).removesuffix(".json")
            if name.startswith(prefix) and len(container_id) == _ID_LENGTH and not is_alive(container_id):
                _tell_keeper(session, "forget_names" if kind == "names" else "release_ports", container_id)
                what = "names to" if kind == "names" else "ports for"
                yield f"the keeper has no {what} container {container_id[:12]} any more"
    for name in _names(f"{paths.runtime_dir}/netns"):
        container_id = name.removeprefix(prefix)
        is_named = name.startswith(prefix) and len(container_id) == _ID_LENGTH
        if is_named and _is_ours(session, container_id) and not is_alive(container_id):
            undo("core/netns", f"{paths.runtime_dir}/netns/{name}")
            yield f"let the network namespace of container {container_id[:12]} go"


def _is_ours(session: Session, container_id: str) -> bool:
    """Another containerd's container of the same namespace has its directory in another data store."""
    base, _, own = session.paths.data_store.rpartition("/")
    inside = f"containers/{session.namespace}/{container_id}"
    return not any(os.path.isdir(f"{base}/{store}/{inside}") for store in _names(base) if store != own)


def _tell_keeper(session: Session, command: str, container_id: str) -> None:
    from pyctl.keeper import client as keeper

    payload = {"namespace": session.namespace, "container": container_id}
    keeper.request(session.paths.data_store, session.paths.runtime_dir, command, payload, data_root=session.paths.data_root)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
