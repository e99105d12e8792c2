"""Kind ``commands``: sub-commands a plug-in adds to the command line."""

from __future__ import annotations

from pyctl_hookspecs.markers import hookspec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class CommandSpecs:
    """The entry point's name is the command's name."""

    @hookspec
    def command(self) -> Callable[..., None]:
        """A function with Typer annotations; its docstring is the help."""
