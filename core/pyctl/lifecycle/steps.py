"""A step: one change to the world, with what it says, the token that undoes it, and the doing."""

from __future__ import annotations

from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from pyctl_hookspecs.observers import PlannedStep


class Step(Record):
    """Everything but ``do`` is plain data, known before anything happens.

    ``provider`` is ``kind/name``: who can undo it from the token alone, in another process; kind ``core`` is
    ourselves. ``needs`` names the steps whose results ``do`` reads; all others may run beside it.
    """

    name: str
    says: str
    provider: str
    undo_token: str
    needs: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    do: Callable[[Mapping[str, Any]], Any]


def planned(steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
    """The plain-data half: what observers see and a dry run prints."""
    from pyctl_hookspecs.observers import PlannedStep

    return tuple(
        PlannedStep(name=s.name, says=s.says, provider=s.provider, undo_token=s.undo_token, needs=s.needs, late=s.late)
        for s in steps
    )
