"""Typer, made to speak Docker: commands that plug-ins write with Typer's annotations, under our grammar and our words.

pyctl's own commands do not pass here, because Typer is 45 ms of import; their option classes can be mounted all the
same (``mount``), which is how the tests compare both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from pyctl.cli.flags import Flag, UsageError, flag_table, parse
from pyctl.cli.help import command_help

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctl.cli.options import Options
    from pyctl.providers.hooks import Hooks

_KINDS = {"int": "int", "integer": "int", "float": "float", "str": "string", "text": "string", "bool": "bool"}


def run_plugin_command(hooks: Hooks, name: str, words: Sequence[str]) -> int:
    """Run the command that a plug-in provides under ``name`` and return its exit status.

    Raises:
        PyctlError: two plug-ins claim the name, it is disabled, or it does not load.
        UsageError: the words do not fit its annotations.
    """
    _, manager = hooks.provider("commands", name)
    return run_function(manager.hook.command()[0], name, words)


def run_function(function: Callable[..., Any], name: str, words: Sequence[str]) -> int:
    """Run a function with Typer annotations as ``pyctl NAME WORDS``."""
    command = _command_of(function, name)
    try:
        result = command.main(args=list(words), prog_name=f"pyctl {name}", standalone_mode=False)
    except UsageError as error:
        error.command = f"pyctl {name}"
        raise
    except Exception as error:
        raise _translated(error, name) from error
    return int(result or 0) if isinstance(result, (int, type(None))) else 0


def _translated(error: Exception, name: str) -> Exception:
    """Click's usage errors in ours; anything else stays what it is."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return error
    translated = UsageError(str(format_message()), exit_code=1 if "Missing" in type(error).__name__ else 125)
    translated.command = f"pyctl {name}"
    return translated


class DockerCommand(TyperCommand):
    """A Typer command that reads its words as pflag does and prints Docker's help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        table = flag_table(_flags(self.get_params(ctx)))
        given, positionals = parse(args, table, interspersed=ctx.allow_interspersed_args)
        rest = super().parse_args(ctx, [*map(_canonical, given), "--", *positionals])
        for flag, text in given:
            if flag.kind == "bool" and flag.dest in ctx.params:
                ctx.params[flag.dest] = text == "true"
        return rest

    def get_help(self, ctx: Any) -> str:
        arguments = " ".join(p.make_metavar(ctx) for p in self.get_params(ctx) if p.param_type_name == "argument")
        flags = [flag for flag in _flags(self.get_params(ctx)) if flag.long != "--help"]
        usage = f"{'[OPTIONS] ' if flags else ''}{arguments}"
        return command_help(str(self.name), usage, (self.help or "").strip(), flags).rstrip("\n")


def _command_of(function: Callable[..., Any], name: str) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings = {"help_option_names": ["-h", "--help"]}
    app.command(name, cls=DockerCommand, context_settings=settings)(function)
    return typer.main.get_command(app)


def _flags(params: Sequence[Any]) -> list[Flag]:
    found = []
    for param in params:
        if param.param_type_name != "option":
            continue
        kind = "bool" if param.is_flag else "list" if param.multiple else _KINDS.get(param.type.name, "string")
        default = param.default if isinstance(param.default, (bool, int, float, str)) else None
        names = tuple(param.opts)
        if not any(name.startswith("--") for name in names):
            names = (*names, f"--{param.name.replace('_', '-')}")
        flag = Flag(names, kind=kind, default=default, help=param.help or "", is_hidden=param.hidden)
        flag.dest = param.name
        found.append(flag)
    return found


def _canonical(pair: tuple[Flag, str]) -> str:
    """A spelling that Click reads the same way: bare for booleans, which are set afterwards, else with an equals sign."""
    flag, text = pair
    if flag.kind == "bool":
        if text not in ("true", "false"):
            from pyctl.cli.flags import values_of

            values_of([pair])  # says what is wrong with it, if anything
        return flag.long
    return f"{flag.long}={text}"


def mount(options: type[Options]) -> Callable[[Callable[[Options], Any]], Callable[..., Any]]:
    """Spread an option class into Typer parameters; the decorated function gets one object."""
    from inspect import Parameter, Signature
    from typing import Annotated

    kinds: dict[str, Any] = {"bool": bool, "int": int, "uint": int, "float": float, "list": list[str], "csv": list[str]}
    parameters = []
    for flag in options.flags:
        kind = kinds.get(flag.kind, str)
        wanted: Any = kind | None if flag.default is None else kind
        annotation = Annotated[wanted, typer.Option(*flag.names, help=flag.help)]
        default = list(flag.default) if isinstance(flag.default, tuple) else flag.default
        parameters.append(Parameter(flag.dest, Parameter.KEYWORD_ONLY, default=default, annotation=annotation))

    def decorate(function: Callable[[Options], Any]) -> Callable[..., Any]:
        def call(**values: Any) -> Any:
            plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
            return function(options(**plain))

        call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        call.__doc__ = function.__doc__
        return call

    return decorate
