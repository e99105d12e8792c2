"""What state a container is in: containerd's task while it has one, what was written down when it ended otherwise."""

from __future__ import annotations

import os

from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyctl.containerd.records import Container, TaskStatus
    from pyctl.state.containers import StateDir

NEVER = "0001-01-01T00:00:00Z"  # Docker's time of what has not happened
STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
HEALTH_STATES = ("none", "starting", "healthy", "unhealthy")
LOST_EXIT_CODE = 255  # a run whose end nobody saw (the machine went down): as Docker has it
_STATUS = {"running": "running", "paused": "paused", "pausing": "paused", "created": "created", "unknown": "dead"}


class ContainerState(Record):
    """``status`` is one of Docker's words. Times are RFC 3339 in UTC, empty for what has not happened.

    While it runs, ``finished_at`` is the end of the run before.

    ``health`` is starting, healthy or unhealthy, empty for a container nobody examines. ``pid`` is 0 unless it lives.
    """

    status: str
    pid: int = 0
    exit_code: int = 0
    started_at: str = ""
    finished_at: str = ""
    oom_killed: bool = False
    health: str = ""

    @property
    def is_running(self) -> bool:
        """In Docker's sense: paused and restarting ones count."""
        return self.status in ("running", "paused", "restarting")


def quick_status(task: TaskStatus | None) -> str:
    """What the task alone says: a state, or empty when the state directory must be asked."""
    return "" if task is None else _STATUS.get(task.status, "")


def read_state(container: Container, task: TaskStatus | None, state: StateDir, *, for_list: bool = False) -> ContainerState:
    """The whole state; reads a small file or two.

    ``for_list`` leaves out what no list shows: when an ended run had started, and whether memory ran out.
    """
    labels = container.labels
    health = health_of(labels)
    status = quick_status(task)
    if task is not None and status in ("running", "paused"):
        ended = None if for_list else state.exit()  # only until the new run is noted, which comes after its start
        started_at, finished_at = state.current_run()
        if ended is not None:
            started_at, finished_at = process_start(task.pid) or started_at, ended.exited_at
        return ContainerState(
            status=status,
            pid=task.pid,
            started_at=started_at or process_start(task.pid),
            finished_at=finished_at,
            oom_killed=not for_list and _has_oom(container, state),
            health=health,
        )
    if status:
        return ContainerState(status=status, health=health)
    record = state.exit() if task is None else None
    started_at = "" if for_list and (task or record) else state.started_at()
    oom_killed = False
    if task is not None:
        exit_code, finished_at = task.exit_status, task.exited_at
        oom_killed = not for_list and _has_oom(container, state)
    elif record is not None:
        exit_code, finished_at, oom_killed = record.exit_code, record.exited_at, record.oom_killed
    elif started_at:
        exit_code, finished_at = LOST_EXIT_CODE, ""
    else:
        return ContainerState(status="created")
    return ContainerState(
        status="restarting" if _comes_back(labels, exit_code) else "exited",
        exit_code=exit_code,
        started_at=started_at,
        finished_at=finished_at,
        oom_killed=oom_killed,
        health=health,
    )


def _has_oom(container: Container, state: StateDir) -> bool:
    from pyctl.ops.ending import group_of
    from pyctl.spec.cgroups import oom_kills

    kills = oom_kills(group_of(container))
    if kills is None:  # its task was deleted since we asked, and what the group said was written down before
        ended = state.exit()
        return ended is not None and ended.oom_killed
    return kills > 0


def health_of(labels: Mapping[str, str]) -> str:
    """What the last probe said. A health check that nobody has begun to carry out is none."""
    text = labels.get("nerdctl/healthstate")
    if not text:
        return ""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return ""
    status = found.get("Status") if isinstance(found, dict) else ""
    return str(status) if status in HEALTH_STATES[1:] else ""


def _comes_back(labels: Mapping[str, str], exit_code: int) -> bool:
    policy = labels.get("containerd.io/restart.policy")
    if not policy:
        return False
    from pyctl.ops.policies import COUNT_LABEL, STOPPED_LABEL, parse_policy, wants_restart
    from pyctl_hookspecs.errors import InvalidArgumentError

    try:
        wanted = parse_policy(policy)
    except InvalidArgumentError:
        return False
    count = labels.get(COUNT_LABEL) or "0"
    return wants_restart(
        wanted,
        exit_code,
        int(count) if count.isdecimal() else 0,
        explicitly_stopped=labels.get(STOPPED_LABEL) == "true",
    )


def process_start(pid: int) -> str:
    """When a process started, for containers whose maker wrote it down nowhere; empty if it is gone."""
    from time import gmtime, strftime

    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        with open("/proc/stat", "rb") as file:
            boot = next(int(line.split()[1]) for line in file if line.startswith(b"btime "))
    except (OSError, StopIteration, IndexError):
        return ""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(boot + ticks // os.sysconf("SC_CLK_TCK")))


def time_key(text: str) -> str:
    """A sort key of an RFC 3339 time in UTC: fractions have as many digits as they need."""
    return text.rstrip("Z")
