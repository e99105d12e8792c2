"""Kind ``observers``: told before and after every step, with the plan in hand."""

from __future__ import annotations

from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.records import Record


class PlannedStep(Record):
    """One step as it is written to the journal."""

    name: str
    says: str
    provider: str
    undo_token: str
    needs: tuple[str, ...] = ()
    late: tuple[str, ...] = ()


class ObserverSpecs:
    """Broadcast: every installed observer is called, one at a time. What one raises fails the operation, which is undone."""

    @hookspec
    def check_plan(self, operation: str, steps: tuple[PlannedStep, ...]) -> None:
        """Called once before anything happens.

        Raises:
            PyctlError: refuses the whole operation; the user sees the message.
        """

    @hookspec
    def before_step(self, operation: str, step: PlannedStep) -> None:
        """Called in the step's thread, before it changes anything."""

    @hookspec
    def after_step(self, operation: str, step: PlannedStep, seconds: float) -> None:
        """Called in the step's thread after it succeeded."""
