"""From argv to a command function: the literal table finds it, the option classes parse it. No Typer on this way.

Plug-in commands, which are written with Typer's annotations, go through ``typer_layer``.
"""

from __future__ import annotations

import sys

from pyctl.cli import table
from pyctl.cli.flags import Flag, UsageError, flag_table, parse, values_of
from pyctl.cli.global_options import GlobalOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pyctl.cli.options import Options
    from pyctl.ops.settings import Settings

HELP = Flag(("-h", "--help"), kind="bool", default=False, help="Print usage")
_LONG_HELP = Flag(("--help",), kind="bool", default=False, help="Print usage")


class Invocation:
    """A command line that was understood: the function to call and what to call it with."""

    __slots__ = ("function", "globals", "options", "path", "positionals", "wants_settings")

    def __init__(
        self,
        path: str,
        function: Callable[..., Any],
        options: Options | None,
        positionals: dict[str, Any],
        global_options: GlobalOptions,
        wants_settings: bool,
    ) -> None:
        self.path, self.function, self.options, self.positionals = path, function, options, positionals
        self.globals, self.wants_settings = global_options, wants_settings


class Answer:
    """A command line that asks for text instead of a command: help, or the version."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class PluginInvocation:
    """A command that a plug-in adds, with the words after its name."""

    __slots__ = ("globals", "name", "words")

    def __init__(self, name: str, words: list[str], global_options: GlobalOptions) -> None:
        self.name, self.words, self.globals = name, words, global_options


def run_command_line(argv: Sequence[str]) -> int:
    """Run one command line and return its exit status.

    Raises:
        PyctlError: shown by the caller.
    """
    _early_style(argv)
    parsed = parse_command_line(argv)
    if isinstance(parsed, Answer):
        sys.stdout.write(parsed.text)
        return 0
    if isinstance(parsed, PluginInvocation):
        from pyctl.cli.typer_layer import run_plugin_command
        from pyctl.ops.session import Session

        return run_plugin_command(Session(settings_for(parsed.globals)).hooks, parsed.name, parsed.words)
    arguments = dict(parsed.positionals)
    if parsed.options is not None:
        arguments["options"] = parsed.options
    if parsed.wants_settings:
        arguments["settings"] = settings_for(parsed.globals)
    result = parsed.function(**arguments)
    return int(result or 0)


def settings_for(global_options: GlobalOptions) -> Settings:
    """Settings of this process; also sets how its errors are printed."""
    import os

    from pyctl.cli.config import load_settings
    from pyctl.cli.errors import set_style
    from pyctl.ops.settings import find_layout

    layout = find_layout(plugins_off=os.environ.get("PYCTL_PLUGINS_OFF", "") not in ("", "0"))
    settings = load_settings(global_options, os.environ, layout)
    set_style(errors_format=settings.errors_format, debug=settings.debug or settings.debug_full)
    return settings


def parse_command_line(argv: Sequence[str]) -> Invocation | PluginInvocation | Answer:
    """Find the command and read its flags. Changes nothing, asks nobody.

    Raises:
        UsageError: with Docker's exit codes: 125 for flags, 1 for an unknown command or a wrong argument count.
        UnsupportedError: a flag that is known but not done yet.
    """
    given_globals: list[tuple[Flag, str]] = []
    globals_table = flag_table(GlobalOptions.flags)
    path, words = "", list(argv)
    while True:
        try:
            spellings = globals_table if not path else _long_only(globals_table)
            given, words = parse(words, {**spellings, "-h": HELP, "--help": HELP}, interspersed=False)
        except UsageError as error:
            error.command = f"pyctl {path}".rstrip()
            raise
        wants_help = any(flag is HELP for flag, _ in given)
        given_globals += [pair for pair in given if pair[0] is not HELP]
        if not path and any(flag.dest == "version" and text == "true" for flag, text in given):
            from pyctl.ops.system import installed_version

            return Answer(f"pyctl version {installed_version()}\n")
        if wants_help and words and not path:
            return parse_command_line([*words, "--help"])
        if not words or wants_help:
            return _help(path)
        word = words.pop(0)
        if not path and word == "help":
            return _help_for(words)
        path = f"{path} {word}".lstrip()
        if not table.is_group(path):
            break
    entry = table.find(path)
    if entry is None:
        if " " not in path and _is_plugin_command(path):
            return PluginInvocation(path, words, _globals(given_globals))
        raise _unknown_command(path)
    return _command(path, entry, words, given_globals, globals_table)


def _command(
    path: str,
    entry: tuple[str, str, str],
    words: list[str],
    given_globals: list[tuple[Flag, str]],
    globals_table: dict[str, Flag],
) -> Invocation | Answer:
    from importlib import import_module

    from pyctl.cli.signatures import Signature

    module, _, attribute = entry[0].partition(":")
    signature = Signature(getattr(import_module(module), attribute))
    options = signature.options
    own = flag_table(options.flags) if options is not None else {}
    help_flag = _LONG_HELP if "-h" in own else HELP
    spellings = {**_long_only(globals_table), **dict.fromkeys(help_flag.names, help_flag), **own}
    path = table.SPELLINGS.get(path, path)
    try:
        given, words = parse(words, spellings, interspersed=options is None or options.interspersed)
        if any(flag is help_flag for flag, _ in given):
            from pyctl.cli.help import command_help

            return Answer(command_help(path, entry[1], entry[2], options.flags if options is not None else ()))
        mine = set(options.flags) if options is not None else set()
        values = values_of([pair for pair in given if pair[0] in mine])
        all_globals = _globals([*given_globals, *(pair for pair in given if pair[0] not in mine)])
    except UsageError as error:
        error.command = f"pyctl {path}"
        raise
    positionals = signature.bind(words, path, entry[1], entry[2])
    record = options(**values, given=tuple(values)) if options is not None else None
    return Invocation(path, signature.function, record, positionals, all_globals, signature.wants_settings)


def _globals(given: list[tuple[Flag, str]]) -> GlobalOptions:
    values = values_of(given)
    return GlobalOptions(**values, given=tuple(values))


def _long_only(flags: dict[str, Flag]) -> dict[str, Flag]:
    """After a command its own shorthands count (``images -a``, ``logs -n``); global flags go by their long names."""
    return {name: flag for name, flag in flags.items() if name[1] == "-" and name != "--version"}


def _help(path: str) -> Answer:
    from pyctl.cli import help as texts

    if path:
        return Answer(texts.group_help(path))
    return Answer(texts.root_help(GlobalOptions.flags, _plugin_commands()))


def _help_for(words: list[str]) -> Invocation | PluginInvocation | Answer:
    return parse_command_line([*words, "--help"]) if words else _help("")


def _unknown_command(path: str) -> UsageError:
    from difflib import get_close_matches  # only when already failing

    group, _, word = path.rpartition(" ")
    error = UsageError(f"'{path}' is not a pyctl command.", exit_code=1)
    error.command = f"pyctl {group}".rstrip()
    prefix = f"{group} " if group else ""
    known = [*table.children(group), *(table.GROUPS if not group else ())]
    known += [other[len(prefix) :] for other in table.SPELLINGS if other.startswith(prefix) and " " not in other[len(prefix) :]]
    near = get_close_matches(word, known, 3, 0.6)
    if near:
        error.hint = "\nDid you mean this?\n" + "\n".join(f"\t{prefix}{name}" for name in near)
    return error


def _is_plugin_command(name: str) -> bool:
    from pyctl.providers.scan import installed

    return any(claim.kind == "commands" and claim.name == name for claim in installed())


def _plugin_commands() -> dict[str, str]:
    """Names of the commands that plug-ins add, without importing one."""
    from pyctl.providers.scan import installed

    return {
        claim.name: f"Provided by {claim.distribution}"
        for claim in sorted(installed(), key=lambda claim: claim.name)
        if claim.kind == "commands"
    }


def _early_style(argv: Sequence[str]) -> None:
    """An error in the command line itself is printed the way its environment or its flags ask for."""
    import os

    from pyctl.cli.errors import set_style

    errors_format = os.environ.get("PYCTL_ERRORS", "text")
    for index, word in enumerate(argv):
        if word == "--":
            break
        if word == "--errors" and index + 1 < len(argv):
            errors_format = argv[index + 1]
        elif word.startswith("--errors="):
            errors_format = word[len("--errors=") :]
    before_command = argv[: next((index for index, word in enumerate(argv) if not word.startswith("-")), len(argv))]
    set_style(errors_format=errors_format, debug=not {"-D", "--debug", "--debug-full"}.isdisjoint(before_command))
