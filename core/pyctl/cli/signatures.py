"""What a command function asks for, read from its signature without ``inspect`` (22 ms of import)."""

from __future__ import annotations

from pyctl.cli.flags import UsageError
from pyctl.cli.help import usage_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctl.cli.options import Options


class Signature:
    """A command's option class and positionals. ``settings`` and ``options`` are the two names with a meaning.

    Every other parameter is a positional argument, in order: ``str`` takes one word, ``tuple[str, ...]`` the rest.
    A default makes it optional.
    """

    __slots__ = ("function", "maximum", "minimum", "options", "positionals", "wants_settings")

    def __init__(self, function: Callable[..., Any]) -> None:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        annotations = function.__annotations__
        defaults = set(names[code.co_argcount - len(function.__defaults__ or ()) : code.co_argcount])
        defaults.update(function.__kwdefaults__ or ())
        self.function = function
        self.options: type[Options] | None = None
        self.wants_settings = "settings" in names
        self.positionals: list[tuple[str, bool]] = []  # name, takes the rest
        self.minimum = 0
        self.maximum: int | None = 0
        for name in names:
            if name == "options":
                self.options = function.__globals__[annotations[name]]
            elif name != "settings":
                takes_rest = annotations[name].startswith("tuple")
                self.positionals.append((name, takes_rest))
                self.minimum += name not in defaults
                self.maximum = None if takes_rest or self.maximum is None else self.maximum + 1

    def bind(self, words: list[str], path: str, usage: str, summary: str) -> dict[str, Any]:
        """Positional words by parameter name.

        Raises:
            UsageError: too few or too many, in Docker's words; exit code 1.
        """
        if len(words) < self.minimum or (self.maximum is not None and len(words) > self.maximum):
            raise self._wrong_count(path, usage, summary)
        bound: dict[str, Any] = {}
        rest = list(words)
        for name, takes_rest in self.positionals:
            if takes_rest:
                bound[name], rest = tuple(rest), []
            elif rest:
                bound[name] = rest.pop(0)
        return bound

    def _wrong_count(self, path: str, usage: str, summary: str) -> UsageError:
        low, high = self.minimum, self.maximum
        if high == 0:
            rule = "accepts no arguments"
        elif high == low:
            rule = f"requires exactly {_count(low)}"
        elif high is None:
            rule = f"requires at least {_count(low)}"
        elif low == 0:
            rule = f"requires at most {_count(high)}"
        else:
            rule = f"requires at least {low} and at most {_count(high)}"
        return UsageError(
            f"\"pyctl {path}\" {rule}.\nSee 'pyctl {path} --help'.\n\n{usage_line(path, usage)}\n\n{summary}", exit_code=1
        )


def _count(number: int) -> str:
    return f"{number} argument" if number == 1 else f"{number} arguments"
