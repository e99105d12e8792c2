"""``plugin ls`` and ``plugin check``: every installed plug-in, loaded through stevedore."""

from __future__ import annotations

from pyctl.providers.hooks import KINDS, manager_for
from pyctl_hookspecs.errors import PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.providers.registry import Registry


class PluginRow(Record):
    """One claim. ``state`` is active, shadowed (somebody else's claim counts), disabled or ambiguous."""

    kind: str
    name: str
    distribution: str
    version: str
    target: str
    state: str


class PluginFault(Record):
    """A plug-in that does not work, and why."""

    kind: str
    name: str
    distribution: str
    problem: str


def rows(registry: Registry) -> tuple[PluginRow, ...]:
    """Every entry point of our groups with the state it is in. Imports no plug-in."""
    from stevedore import NamedExtensionManager

    from pyctl.providers.scan import installed

    known = {(c.kind, c.name, c.target): c for c in installed()}
    counted = {(c.kind, c.name, c.target) for c in registry.all()}
    found: list[PluginRow] = []
    for kind in KINDS:
        manager: NamedExtensionManager[object] = NamedExtensionManager(
            f"pyctl.{kind}", names=[], invoke_on_load=False, warn_on_missing_entrypoint=False
        )
        for entry in manager.list_entry_points():
            claim = known.get((kind, entry.name, entry.value))
            if claim is None:
                continue
            found.append(
                PluginRow(
                    kind=kind,
                    name=entry.name,
                    distribution=claim.distribution,
                    version=claim.version,
                    target=entry.value,
                    state=_state(registry, kind, entry.name, entry.value, counted),
                )
            )
    return tuple(sorted(set(found), key=lambda row: (row.kind, row.name, row.distribution)))


def _state(registry: Registry, kind: str, name: str, target: str, counted: set[tuple[str, str, str]]) -> str:
    if (kind, name, target) not in counted:
        return "disabled"
    try:
        return "active" if registry.select(kind, name).target == target else "shadowed"
    except PyctlError:
        return "ambiguous"


def faults(registry: Registry) -> tuple[PluginFault, ...]:
    """Load and validate every plug-in that may count; one that fails does not stop the rest."""
    found: list[PluginFault] = []
    for claim in registry.all():
        problem = ""
        try:
            manager_for(claim)
        except PyctlError as error:
            problem = str(error)
        if problem:
            found.append(PluginFault(kind=claim.kind, name=claim.name, distribution=claim.distribution, problem=problem))
    return tuple(found)
