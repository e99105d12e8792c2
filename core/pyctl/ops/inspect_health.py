"""``State.Health`` of ``inspect``: what the probes said."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.ops.inspect_facts import ContainerFacts

_KEPT = 5  # Docker remembers as many


def health(facts: ContainerFacts) -> dict[str, Any]:
    """Status, how often in a row it failed, and the last few probes with their output."""
    state = facts.label_json("healthstate") or {}
    return {"Status": facts.state.health, "FailingStreak": int(state.get("FailingStreak") or 0), "Log": _probes(facts.state_dir)}


def _probes(state_dir: str) -> list[dict[str, Any]]:
    """nerdctl's ``health.json``: an object per line; a last line that is being written is left out."""
    import json

    try:
        with open(f"{state_dir}/health.json", encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()[-_KEPT:]
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
