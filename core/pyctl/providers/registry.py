"""Which provider answers to (kind, name): chosen without importing anything, loaded alone."""

from __future__ import annotations

from _thread import allocate_lock

from pyctl.providers.scan import Claim
from pyctl_hookspecs.errors import NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


class Registry:
    """The claims of all installed distributions, and the configuration's word on who counts.

    ``chosen`` maps ``kind.name`` to a distribution; claims of ``disabled`` distributions do not count;
    ``builtins_only`` (``PYCTL_PLUGINS_OFF=1``) leaves ours alone.
    """

    def __init__(
        self,
        installed: Callable[[], Iterable[Claim]],
        *,
        chosen: Mapping[str, str],
        disabled: frozenset[str] = frozenset(),
        builtins_only: bool = False,
    ) -> None:
        self._installed, self._chosen = installed, chosen
        self._disabled, self._builtins_only = disabled, builtins_only
        self._all: list[Claim] | None = None
        self._lock = allocate_lock()  # the threads of a batch all come at once

    def all(self) -> list[Claim]:
        """Every claim that may count, built-ins last within a name."""
        with self._lock:
            if self._all is None:
                counted = [
                    c for c in self._installed() if c.is_builtin or not (self._builtins_only or c.distribution in self._disabled)
                ]
                self._all = sorted(counted, key=lambda claim: (claim.kind, claim.name, claim.is_builtin))
            return self._all

    def names(self, kind: str) -> list[str]:
        """The names of a kind, each once, sorted."""
        return sorted({c.name for c in self.all() if c.kind == kind})

    def has(self, kind: str, name: str) -> bool:
        return any((c.kind, c.name) == (kind, name) for c in self.all())

    def select(self, kind: str, name: str) -> Claim:
        """The one claim that counts: the one configured, or the only outsider, or the built-in.

        Raises:
            NotFoundError: nobody answers to that name.
            PyctlError: two outsiders do, and the configuration does not settle it.
        """
        claims = [c for c in self.all() if (c.kind, c.name) == (kind, name)]
        wanted = self._chosen.get(f"{kind}.{name}")
        if wanted is not None:
            claims = [c for c in claims if c.distribution == wanted]
        if not claims:
            source = f" from {wanted}" if wanted else ""
            names = ", ".join(self.names(kind)) or "none"
            message = f"no {kind} plug-in named {name}{source}"
            raise NotFoundError(f"{kind} plug-in", name, message=message, hint=f"installed: {names}")
        rivals = [c.distribution for c in claims if not c.is_builtin]
        if len(rivals) > 1:
            raise PyctlError(
                f"{kind} {name} is claimed by {' and '.join(sorted(rivals))}",
                hint=f'settle it with [plugins] {kind}.{name} = "{sorted(rivals)[0]}"',
            )
        return claims[0]


def load(claim: Claim) -> Any:
    """The plug-in object behind a claim.

    Raises:
        PyctlError: it does not import; names the distribution and its version.
    """
    from importlib import import_module

    module, _, attribute = claim.target.partition(":")
    try:
        loaded = import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
    except Exception as error:  # a third party's import may raise anything, and must not look like our bug
        raise PyctlError(f"{claim.kind} {claim.name}: {claim.distribution} {claim.version} did not load: {error!r}") from error
