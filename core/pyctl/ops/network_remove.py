"""``network rm`` and ``network prune``: the file goes under nerdctl's lock, then what the driver had on this host."""

from __future__ import annotations

import os

from pyctl.ops.networks import ACTIVE
from pyctl.state import conflists, networks
from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl.containerd.client import Client
    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session
    from pyctl.state.conflists import Network

_PREDEFINED = ("bridge", "host", "none")


def remove(session: Session, reference: str, *, force: bool = False) -> None:
    """Remove a network by name, ID or ID prefix; with ``force`` one that does not exist is fine.

    Raises:
        NotFoundError: no such network, in Docker's words.
        ConflictError: predefined, nobody's of ours, or in use.
        BaseExceptionGroup: the file is gone, but the driver could not take everything away; the next command tries again.
    """
    from pyctl.ops.network_plans import dissolve
    from pyctl.ops.reconciling import undo_abandoned

    undo_abandoned(session)
    netconf_path = session.settings.cni_netconfpath
    try:
        if reference in _PREDEFINED:
            raise _predefined(reference)
        if not os.path.isdir(netconf_path):
            raise NotFoundError("network", reference, message=f"network {reference} not found")
        with conflists.lock_for_change(netconf_path):
            network = _removable(networks.find(netconf_path, session.namespace, reference))
            with conflists.hold(network.path):
                if _is_being_joined(session, network) or _is_in_use(session, network):  # in this order: a start ends in a task
                    raise ConflictError(
                        f"error while removing network: network {network.name} id {network.network_id} has active endpoints"
                    )
                dissolve(session, network)
    except NotFoundError:
        if not force:
            raise


def prune(
    session: Session, filters: Sequence[tuple[str, str]], *, before_s: float | None = None
) -> tuple[tuple[str, ...], tuple[Exception, ...]]:
    """Remove every network nobody uses, except the predefined ones and other tools'; the names, and what failed.

    ``filters`` are pairs of ``label`` or ``label!`` and ``key`` or ``key=value``; ``before_s`` (seconds since the epoch)
    spares younger ones.

    Raises:
        InvalidArgumentError: another filter, in Docker's words.
    """
    for key, _ in filters:
        if key not in ("label", "label!"):
            raise InvalidArgumentError(f"invalid filter '{key}'")
    removed: list[str] = []
    errors: list[Exception] = []
    for network in conflists.read_all(session.settings.cni_netconfpath, session.namespace):
        try:
            _removable(network)
            if not _is_meant(network, filters, before_s):
                continue
        except PyctlError:
            continue
        try:
            remove(session, network.name)
            removed.append(network.name)
        except (ConflictError, NotFoundError):
            continue  # in use, or somebody was faster
        except (PyctlError, ExceptionGroup) as error:
            errors.append(error)
            if session.cancel.is_set():
                break
    return tuple(removed), tuple(errors)


def _is_meant(network: Network, filters: Sequence[tuple[str, str]], before_s: float | None) -> bool:
    if before_s is not None:
        try:
            if os.stat(network.path).st_mtime > before_s:
                return False
        except FileNotFoundError:
            return False
    labels = dict(network.labels)
    for key, value in filters:
        label, equals, text = value.partition("=")
        has = label in labels and (not equals or labels[label] == text)
        if has == (key == "label!"):
            return False
    return True


def _removable(network: Network) -> Network:
    is_default = dict(network.labels).get(networks.DEFAULT_LABEL)
    if network.name in _PREDEFINED or is_default:
        raise _predefined(network.name)
    if network.problem:
        raise InvalidArgumentError(network.problem)
    if not network.network_id:
        raise ConflictError(
            f"network {network.name} was made by neither pyctl nor nerdctl and cannot be removed", hint=f"see {network.path}"
        )
    return network


def _predefined(name: str) -> ConflictError:
    return ConflictError(f"{name} is a pre-defined network and cannot be removed")


def _is_in_use(session: Session, network: Network) -> bool:
    """Is a running or paused container connected? A network in a namespace's own folder is seen by that one alone."""
    from pyctl.containerd.client import Client

    is_private = os.path.dirname(network.path) != session.settings.cni_netconfpath.rstrip("/")
    spaces = (session.namespace,) if is_private else session.client.namespaces.list()
    for space in spaces:
        client = session.client if space == session.namespace else Client(session.address, space)
        try:
            if _names_it(client, network):
                return True
        finally:
            if client is not session.client:
                client.close()
    return False


def _names_it(client: Client, network: Network) -> bool:
    active = {task.container_id for task in client.tasks.list() if task.status in ACTIVE}
    return bool(active) and any(one.container_id in active and _lists(one, network) for one in client.containers.list())


def _lists(container: Container, network: Network) -> bool:
    """By name, as nearly always, or by the whole or the beginning of its ID."""
    from pyctl.spec.endpoints import from_labels

    typed = [endpoint.network for endpoint in from_labels(container.labels)]
    return any(text == network.name or (len(text) >= 12 and network.network_id.startswith(text)) for text in typed)


def _is_being_joined(session: Session, network: Network) -> bool:
    """Does a command of this data store start a container on it right now? It noted its plan before it looked again."""
    from pyctl.lifecycle.journal import read_plan
    from pyctl.ops.reconciling import noted
    from pyctl.state.containers import StateDir

    for container_id in noted(session):
        plan = read_plan(StateDir(session.paths.state_dir(container_id)).start_journal)
        for entry in plan.entries if plan else ():
            if entry.provider.startswith(("network/", "core/attachment")) and network.name in entry.undo_token.split("/"):
                return True
    return False
