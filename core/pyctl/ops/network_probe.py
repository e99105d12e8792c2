"""Connect one namespace to a network that is about to be created, and take everything away again.

It is a plan like a container's, with a journal: a command that is killed in the middle is cleaned up after by the next.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.lifecycle.steps import Step
    from pyctl.ops.session import Session
    from pyctl.state.conflists import Network
    from pyctl_hookspecs.setup_network import NetworkRequest


def probe(session: Session, network: Network) -> None:
    """Bring the network up and down; whoever calls holds the lock of the networks' directory.

    Raises:
        PyctlError, BaseExceptionGroup: the driver's words; what it had made is gone, or the group says what is not.
    """
    from pyctl.lifecycle.apply import Chapter, apply
    from pyctl.lifecycle.journal import Journal
    from pyctl.ops.ending import state_of
    from pyctl.ops.reconciling import pending
    from pyctl.ops.signals import cancelling
    from pyctl.ops.undo import undoer
    from pyctl.ops.watching import watcher

    probe_id = os.urandom(32).hex()
    steps = _steps(session, network, probe_id)
    state = state_of(session, probe_id)
    onlooker = watcher(session, "network create", steps)
    with cancelling(session.cancel.set), pending(session, probe_id):
        state.make()
        chapter = Chapter(journal=Journal(state.start_journal, owns_directory=True), steps=steps)
        apply([chapter], undoer(session), session.cancel, onlooker, is_trial=True)


def undo_draft(session: Session, token: str) -> None:
    """Take away what the network as a whole has on this host, unless it was created after all."""
    from pyctl.ops.network_remove import take_down
    from pyctl.state import conflists

    probe_id, _, name = token.partition("/")
    text = _draft(session, probe_id)
    if not text:
        return  # killed before anything was connected
    if not os.path.exists(conflists.conflist_path(session.settings.cni_netconfpath, session.namespace, name)):
        import json

        take_down(session, conflists.from_config(json.loads(text), ""))
    os.unlink(_draft_path(session, probe_id))


def undo_connection(session: Session, token: str) -> None:
    """Pull the interface out at once: a namespace dies in its own time, and a bridge with a port on it is in use."""
    from pyctl.state import netns

    probe_id, driver, name, undo_token = token.split("/", 3)
    request = _request(session, probe_id, name, _draft(session, probe_id))
    if netns.is_pinned(request.netns_path) and session.hooks.has_hook("network", driver, "detach_network"):
        session.hooks.detach_network(driver, request, undo_token, session.host)
    session.hooks.cleanup("network", driver, undo_token, session.host)


def _steps(session: Session, network: Network, probe_id: str) -> tuple[Step, ...]:
    from pyctl.lifecycle.steps import Step
    from pyctl.state import netns

    request = _request(session, probe_id, network.name, network.conflist)
    intent = session.hooks.plan_network(network.driver, request, session.host)
    draft = Step(
        name="draft",
        says=f"note the configuration of network {network.name}",
        provider="core/network-draft",
        undo_token=f"{probe_id}/{network.name}",
        do=lambda _: _write(_draft_path(session, probe_id), network.conflist),
    )
    if intent.namespace != "pinned":
        return (draft,)  # this driver connects running tasks only
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
        undo_token=f"{probe_id}/{network.driver}/{network.name}/{intent.undo_token}",
        late=intent.late,
        needs=("draft", "netns"),
        do=lambda _: session.hooks.setup_network(network.driver, request, intent.undo_token, session.host),
    )
    return (draft, pin, connect)


def _request(session: Session, probe_id: str, name: str, conflist: str) -> NetworkRequest:
    from pyctl_hookspecs.setup_network import NetworkRequest

    return NetworkRequest(
        container_id=probe_id,
        container_name="",
        namespace=session.namespace,
        network=name,
        interface="eth0",
        netns_path=session.paths.netns(probe_id),
        conflist=conflist,
    )


def _draft_path(session: Session, probe_id: str) -> str:
    return f"{session.paths.state_dir(probe_id)}/network.conflist"


def _draft(session: Session, probe_id: str) -> str:
    try:
        with open(_draft_path(session, probe_id)) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    from pyctl.state.locks import write_atomic

    write_atomic(path, text, durable=False)  # after a reboot there is nothing on the host to take away
