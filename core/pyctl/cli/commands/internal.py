"""``pyctl internal ...``: what the keeper has done for it, by a process that may load containerd's client."""

from __future__ import annotations

from pyctl.cli.sessions import echo, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


def exited(settings: Settings, container: str) -> int:
    """Deal with a container's exit; the last line printed tells the keeper when to start it again, if at all."""
    import json

    from pyctl.ops import ending as ops
    from pyctl.ops.network_repair import after_removal

    with session_for(settings) as session:
        try:
            delay_s = ops.exited(session, container)
        except ops.LetInError:
            return 1  # nothing unusual: no line in the keeper's notes
        after_removal(session, container)
    echo(json.dumps({} if delay_s is None else {"restart_in_s": delay_s}))
    return 0


def prepare(settings: Settings, container: str) -> None:
    """Another tool starts a container: make what its specification expects on this machine."""
    from pyctl.ops import adopting as ops

    with session_for(settings) as session:
        ops.prepare(session, container)


def adopt(settings: Settings, container: str) -> None:
    """Another tool has started a container: connect it, and have its exit watched."""
    from pyctl.ops import adopting as ops

    with session_for(settings) as session:
        ops.adopt(session, container)


def restart(settings: Settings, container: str) -> None:
    """Start a container again because its restart policy says so."""
    from pyctl.ops import run as ops

    with session_for(settings) as session:
        ops.restart_by_policy(session, container)


def repair(settings: Settings) -> int:
    """Somebody took rules away: the keeper noticed. What is said goes to the keeper's notes."""
    from pyctl.cli.commands.network import repair as repair_networks

    return repair_networks(settings)
