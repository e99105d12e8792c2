"""Call a plug-in the way core does: through pluggy, with its signature checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable


class Caller:
    """The hooks of one plug-in as methods: each gives the plug-in's own answer, None if it has no such hook."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._hook = manager.hook

    def __getattr__(self, name: str) -> Callable[..., Any]:
        hook = getattr(self._hook, name)

        def call(**arguments: Any) -> Any:
            answers = hook(**arguments)
            return answers[0] if answers else None

        return call


def hooks_of(plugin: object, specs: type) -> Caller:
    """The plug-in's hooks; a misspelt one or a wrong argument fails here.

    Raises:
        pluggy.PluginValidationError: names the hook.
    """
    manager = pluggy.PluginManager("pyctl")
    manager.add_hookspecs(specs)
    manager.register(plugin)
    manager.check_pending()
    return Caller(manager)
