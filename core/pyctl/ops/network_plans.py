"""Plans about a network as a whole: it is tried before it is created, and taken away when it is removed.

Both are plans like a container's, with a journal below an ID of their own, and nothing of either stays: a command that
is killed in the middle is finished by the next.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.lifecycle.steps import Step
    from pyctl.ops.session import Session
    from pyctl.state.conflists import Network
    from pyctl_hookspecs.setup_network import NetworkRequest

_carried_out_here: set[str] = set()


def probe(session: Session, network: Network) -> None:
    """Bring the network up, connect one namespace, and take everything away again.

    Whoever calls holds the lock of the networks' directory; the network has no file yet.

    Raises:
        PyctlError, BaseExceptionGroup: the driver's words; what it had made is gone, or the group says what is not.
    """
    plan_id = os.urandom(32).hex()
    _carry_out(session, "network create", plan_id, (_draft_step(session, network, plan_id), *_trial(session, network, plan_id)))


def dissolve(session: Session, network: Network) -> None:
    """Remove the network's file, then what its driver has on this host.

    Whoever calls holds the lock of the networks' directory.

    Raises:
        PyctlError, BaseExceptionGroup: something is still there; the next command tries again.
    """
    from pyctl.lifecycle.steps import Step

    plan_id = os.urandom(32).hex()
    unlink = Step(
        name="unlink",
        says=f"remove {network.path}",
        provider="core/none",
        undo_token="",
        needs=("draft",),
        do=lambda _: _unlink(network.path),
    )
    _carry_out(session, "network rm", plan_id, (_draft_step(session, network, plan_id), unlink))


def undo_draft(session: Session, token: str) -> None:
    """Take away what the network as a whole has on this host, unless it has a file (again).

    Under the lock of the networks' directory, which the process that carries the plan out holds already.
    """
    from pyctl.state.conflists import lock_for_change

    plan_id = token.partition("/")[0]
    if plan_id in _carried_out_here:
        _undo_draft(session, plan_id)
    else:
        with lock_for_change(session.settings.cni_netconfpath):
            _undo_draft(session, plan_id)


def _undo_draft(session: Session, plan_id: str) -> None:
    from pyctl.state.conflists import from_config

    path, text = _read_draft(session, plan_id)
    if text and not os.path.exists(path):  # without a text, it was killed before anything happened
        import json

        _take_down(session, from_config(json.loads(text), ""))
    _unlink(_draft_path(session, plan_id))


def undo_connection(session: Session, token: str) -> None:
    """Pull the interface out at once: a namespace dies in its own time, and a bridge with a port on it is in use."""
    from pyctl.state import netns

    plan_id, driver, name, undo_token = token.split("/", 3)
    request = _request(session, plan_id, name, _read_draft(session, plan_id)[1])
    if netns.is_pinned(request.netns_path) and session.hooks.has_hook("network", driver, "detach_network"):
        session.hooks.detach_network(driver, request, undo_token, session.host)
    session.hooks.cleanup("network", driver, undo_token, session.host)


def _carry_out(session: Session, operation: str, plan_id: str, steps: tuple[Step, ...]) -> None:
    from pyctl.lifecycle.apply import Chapter, apply
    from pyctl.lifecycle.journal import Journal
    from pyctl.ops.ending import state_of
    from pyctl.ops.reconciling import pending
    from pyctl.ops.signals import cancelling
    from pyctl.ops.undo import undoer
    from pyctl.ops.watching import watcher

    state = state_of(session, plan_id)
    onlooker = watcher(session, operation, steps)
    _carried_out_here.add(plan_id)
    with cancelling(session.cancel.set), pending(session, plan_id):
        state.make()
        chapter = Chapter(journal=Journal(state.start_journal, owns_directory=True), steps=steps)
        apply([chapter], undoer(session), session.cancel, onlooker, is_trial=True)


def _draft_step(session: Session, network: Network, plan_id: str) -> Step:
    from pyctl.lifecycle.steps import Step

    return Step(
        name="draft",
        says=f"note the configuration of network {network.name}",
        provider="core/network-draft",
        undo_token=f"{plan_id}/{network.name}",
        do=lambda _: _write_draft(session, plan_id, network),
    )


def _trial(session: Session, network: Network, plan_id: str) -> tuple[Step, ...]:
    from pyctl.lifecycle.steps import Step
    from pyctl.state import netns

    request = _request(session, plan_id, network.name, network.conflist)
    intent = session.hooks.plan_network(network.driver, request, session.host)
    if intent.namespace != "pinned":
        return ()  # this driver connects running tasks only
    pin = Step(
        name="netns",
        says=f"pin a network namespace at {request.netns_path}",
        provider="core/netns",
        undo_token=request.netns_path,
        do=lambda _: netns.create(request.netns_path),
    )
    connect = Step(
        name="network-0",
        says=intent.says,
        provider="core/network-trial",
        undo_token=f"{plan_id}/{network.driver}/{network.name}/{intent.undo_token}",
        late=intent.late,
        needs=("draft", "netns"),
        do=lambda _: session.hooks.setup_network(network.driver, request, intent.undo_token, session.host),
    )
    return (pin, connect)


def _take_down(session: Session, network: Network) -> None:
    """A well-known chain may have been carried out by either driver, as the setting was at the time."""
    from pyctl.state.networks import carried_by

    carried = carried_by(network, session.settings.network_engine)
    for driver in dict.fromkeys((carried.driver, network.driver)):
        if not session.hooks.registry.has("network", driver):
            session.notices.append(f"WARNING: network driver {driver} is not installed: what it had on this host stays")
            continue
        session.hooks.remove_network(driver, network.name, network.conflist, session.host)


def _request(session: Session, plan_id: str, name: str, conflist: str) -> NetworkRequest:
    from pyctl_hookspecs.setup_network import NetworkRequest

    return NetworkRequest(
        container_id=plan_id,
        container_name="",
        namespace=session.namespace,
        network=name,
        interface="eth0",
        netns_path=session.paths.netns(plan_id),
        conflist=conflist,
    )


def _draft_path(session: Session, plan_id: str) -> str:
    return f"{session.paths.state_dir(plan_id)}/network.conflist"


def _write_draft(session: Session, plan_id: str, network: Network) -> None:
    """The path of the network's file, then its text. After a reboot there is nothing on the host to take away."""
    from pyctl.state.locks import write_atomic

    write_atomic(_draft_path(session, plan_id), f"{network.path}\n{network.conflist}", durable=False)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _read_draft(session: Session, plan_id: str) -> tuple[str, str]:
    try:
        with open(_draft_path(session, plan_id)) as file:
            path, _, text = file.read().partition("\n")
    except FileNotFoundError:
        return "", ""
    return path, text
