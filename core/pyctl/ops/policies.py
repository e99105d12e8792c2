"""Restart policies: what they say, and when a container comes back (Docker's rules, kept by us on every containerd)."""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session
    from pyctl.state.containers import ExitRecord

POLICY_LABEL = "containerd.io/restart.policy"
COUNT_LABEL = "containerd.io/restart.count"
STOPPED_LABEL = "containerd.io/restart.explicitly-stopped"

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 60.0
_GOOD_RUN_S = 10.0  # a run this long resets the back-off


class Policy(Record):
    """``name`` is no, always, on-failure or unless-stopped; ``max_retries`` 0 means without end."""

    name: str
    max_retries: int = 0


def parse_policy(text: str) -> Policy:
    """A policy from ``--restart`` or the label.

    Raises:
        InvalidArgumentError: Docker's words, and its exit codes for ``create``.
    """
    name, colon, count = text.partition(":")
    if name not in ("", "no", "always", "on-failure", "unless-stopped"):
        raise InvalidArgumentError(
            f"invalid restart policy: unknown policy '{text}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if colon and name != "on-failure":
        raise InvalidArgumentError("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if colon and not count.isdecimal():
        raise InvalidArgumentError("invalid restart policy format: maximum retry count must be an integer", exit_code=125)
    return Policy(name=name or "no", max_retries=int(count) if colon else 0)


def wants_restart(policy: Policy, exit_code: int, restart_count: int, *, explicitly_stopped: bool) -> bool:
    """Docker's decision: ``stop`` beats every policy until the next ``start``."""
    if explicitly_stopped or policy.name == "no":
        return False
    if policy.name == "on-failure":
        return exit_code != 0 and (policy.max_retries == 0 or restart_count < policy.max_retries)
    return True


def wants_boot(policy: Policy, exit_code: int, restart_count: int, *, explicitly_stopped: bool) -> bool:
    """Docker's decision for a container that does not run when the daemon starts: only ``unless-stopped`` remembers a ``stop``.

    ``on-failure`` looks at the exit code alone; that of a run which the machine's end broke off is 255.
    """
    is_remembered = policy.name == "unless-stopped" and explicitly_stopped
    return wants_restart(policy, exit_code, restart_count, explicitly_stopped=is_remembered)


def restart_delay(session: Session, container: Container) -> float | None:
    """Seconds until the container should be started again, None for never. Doubles from 0.1 to 60 while it keeps dying."""
    from pyctl.ops.ending import state_of

    labels = container.labels
    ended = state_of(session, container.container_id).exit()
    count = int(labels.get(COUNT_LABEL) or 0)
    if ended is None or not wants_restart(
        parse_policy(labels.get(POLICY_LABEL, "no")),
        ended.exit_code,
        count,
        explicitly_stopped=labels.get(STOPPED_LABEL) == "true",
    ):
        return None
    if _lasted_s(state_of(session, container.container_id).started_at(), ended) >= _GOOD_RUN_S:
        return _FIRST_DELAY_S
    return min(_FIRST_DELAY_S * 2.0 ** min(count, 16), _LONGEST_DELAY_S)


def _lasted_s(started_at: str, ended: ExitRecord) -> float:
    return (seconds(ended.exited_at) - seconds(started_at)) if started_at and ended.exited_at else 0.0


def seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC."""
    import calendar
    import time

    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")
