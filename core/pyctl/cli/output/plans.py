"""A plan that was not carried out: what ``--dry-run`` prints."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl_hookspecs.observers import PlannedStep


def plan_text(steps: Sequence[PlannedStep], style: str) -> str:
    """The steps in words (``text``), or as a JSON array (``json``)."""
    if style == "json":
        import json

        return json.dumps([step.as_dict() for step in steps], indent=4, ensure_ascii=False)
    lines = []
    for number, step in enumerate(steps, 1):
        late = f" (known after this step: {', '.join(step.late)})" if step.late else ""
        needs = f" [after {', '.join(step.needs)}]" if step.needs else ""
        lines.append(f"{number:3}. {step.name}: {step.says}{late}{needs}")
    return "\n".join(lines)
