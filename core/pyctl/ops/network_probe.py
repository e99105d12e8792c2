"""Connect one namespace to a network that is about to be created, and take everything away again.

It is a plan like a container's, with a journal: a command that is killed in the middle is cleaned up after by the next.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pyctl.lifecycle.steps import Step
    from pyctl.ops.session import Session
    from pyctl.state.conflists import Network
    from pyctl_hookspecs.setup_network import NetworkIntent, NetworkRequest

_DRAFT = "network.conflist"


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
    from pyctl.state import conflists

    probe_id, _, name = token.partition("/")
    draft = f"{session.paths.state_dir(probe_id)}/{_DRAFT}"
    try:
        with open(draft) as file:
            conflist = file.read()
    except FileNotFoundError:
        return  # killed before anything was connected
    if not os.path.exists(conflists.conflist_path(session.settings.cni_netconfpath, session.namespace, name)):
        import json

        from pyctl.ops.network_remove import take_down

        take_down(session, conflists.from_config(json.loads(conflist), draft))
    os.unlink(draft)


def _steps(session: Session, network: Network, probe_id: str) -> tuple[Step, ...]:
    from pyctl.lifecycle.steps import Step
    from pyctl.state import netns
    from pyctl_hookspecs.setup_network import NetworkRequest

    netns_path = session.paths.netns(probe_id)
    request = NetworkRequest(
        container_id=probe_id,
        container_name="",
        namespace=session.namespace,
        network=network.name,
        interface="eth0",
        netns_path=netns_path,
        conflist=network.conflist,
    )
    intent = session.hooks.plan_network(network.driver, request, session.host)
    draft = f"{session.paths.state_dir(probe_id)}/{_DRAFT}"
    steps = [
        Step(
            name="draft",
            says=f"note the configuration of network {network.name}",
            provider="core/network-draft",
            undo_token=f"{probe_id}/{network.name}",
            do=lambda _: _write(draft, network.conflist),
        )
    ]
    if intent.namespace != "pinned":
        return tuple(steps)  # this driver connects running tasks only
    steps.append(
        Step(
            name="netns",
            says=f"pin a network namespace at {netns_path}",
            provider="core/netns",
            undo_token=netns_path,
            do=lambda _: netns.create(netns_path),
        )
    )
    steps.append(
        Step(
            name="network-0",
            says=intent.says,
            provider=f"network/{network.driver}",
            undo_token=intent.undo_token,
            late=intent.late,
            needs=("draft", "netns"),
            do=_connect(session, network.driver, request, intent),
        )
    )
    return tuple(steps)


def _connect(
    session: Session, driver: str, request: NetworkRequest, intent: NetworkIntent
) -> Callable[[Mapping[str, Any]], object]:
    return lambda _: session.hooks.setup_network(driver, request, intent.undo_token, session.host)


def _write(path: str, text: str) -> None:
    from pyctl.state.locks import write_atomic

    write_atomic(path, text)
