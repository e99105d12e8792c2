"""Who looks on: observers and the trace while steps run, the keeper once a container is on its own."""

from __future__ import annotations

import os

from pyctl.lifecycle.apply import Watcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl.lifecycle.steps import Step
    from pyctl.ops.session import Session

TRACE_VARIABLE = "PYCTL_TRACE"


class StepWatcher(Watcher):
    """Tells every observer, and the user if the trace is on (``PYCTL_TRACE=1``: milliseconds per step on stderr)."""

    def __init__(self, session: Session, operation: str, *, is_traced: bool, is_observed: bool) -> None:
        self._hooks, self._operation = session.hooks, operation
        self._is_traced, self._is_observed = is_traced, is_observed

    def before(self, step: Step) -> None:
        if self._is_observed:
            from pyctl.lifecycle.steps import planned

            self._hooks.before_step(self._operation, planned([step])[0])

    def after(self, step: Step, seconds: float) -> None:
        if self._is_traced:
            os.write(2, f"trace {self._operation} {step.name} {seconds * 1000:.1f} ms\n".encode())
        if self._is_observed:
            from pyctl.lifecycle.steps import planned

            self._hooks.after_step(self._operation, planned([step])[0], seconds)


def watcher(session: Session, operation: str, steps: Sequence[Step]) -> Watcher:
    """Show the plan to all observers first; then the one who tells them about its steps.

    Raises:
        PyctlError: an observer refuses the plan.
    """
    is_observed = bool(session.hooks.registry.names("observers"))
    if is_observed:
        from pyctl.lifecycle.steps import planned

        session.hooks.check_plan(operation, planned(steps))
    is_traced = bool(os.environ.get(TRACE_VARIABLE))
    if not is_observed and not is_traced:
        return Watcher()
    return StepWatcher(session, operation, is_traced=is_traced, is_observed=is_observed)


def watch_exit(session: Session, container_id: str) -> None:
    """Have the keeper deal with the exit of a running container and hold its standard input open until then.

    Raises:
        UnavailableError: no keeper could be started; safe to try again.
    """
    from pyctl.keeper import client as keeper

    paths = session.paths
    status = session.client.tasks.get(container_id)
    keeper.watch(
        paths.data_store,
        paths.runtime_dir,
        data_root=paths.data_root,
        namespace=session.namespace,
        container=container_id,
        pid=status.pid,
        stdin=status.stdin,
        address=session.address,
        args=_global_flags(session),
    )


def save_launcher(session: Session, container_id: str) -> None:
    """Leave in the state directory how the keeper starts this pyctl, for when another tool starts the container."""
    import json

    from pyctl.keeper.wire import LAUNCHER, launcher
    from pyctl.state.locks import write_atomic

    content = json.dumps({"address": session.address, **launcher(_global_flags(session))}, separators=(",", ":"))
    write_atomic(f"{session.paths.state_dir(container_id)}/{LAUNCHER}", content, durable=False)


def _global_flags(session: Session) -> list[str]:
    settings = session.settings
    return [
        f"--address={session.address}",
        f"--data-root={settings.data_root}",
        f"--cni-netconfpath={settings.cni_netconfpath}",
        f"--cni-path={':'.join(settings.cni_paths)}",
        *([f"--bridge-ip={settings.bridge_ip}"] if settings.bridge_ip else []),
    ]
