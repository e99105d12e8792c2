"""An observer that breaks a chosen step: ``PYCTL_FAULT=before:STEP:HOW`` or ``after:STEP:HOW``.

HOW is ``error`` (raise), ``int`` and ``term`` (signal to ourselves, then go on), ``kill`` (die at once) or ``late``.
"""

import os
import signal
import time

from pyctl_hookspecs import PyctlError, hookimpl
from pyctl_hookspecs.observers import PlannedStep


@hookimpl
def before_step(operation: str, step: PlannedStep) -> None:
    _strike("before", step)


@hookimpl
def after_step(operation: str, step: PlannedStep, seconds: float) -> None:
    _strike("after", step)


def _strike(when: str, step: PlannedStep) -> None:
    where, name, how = os.environ["PYCTL_FAULT"].split(":")
    if (where, name) != (when, step.name):
        return
    if how == "error":
        raise PyctlError(f"injected {when} {step.name}")
    if how == "late":
        time.sleep(0.5)  # every other step that does not wait for this one is done by then
        return
    os.kill(os.getpid(), {"int": signal.SIGINT, "term": signal.SIGTERM, "kill": signal.SIGKILL}[how])
