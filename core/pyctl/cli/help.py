"""Help in Docker's plain layout."""

from __future__ import annotations

from pyctl.cli import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyctl.cli.flags import Flag

PROGRAM = "pyctl"
_WORDS = {"csv": "strings", "list": "list", "bool": ""}  # the other kinds go by their own names


def command_help(path: str, usage: str, summary: str, flags: Sequence[Flag]) -> str:
    """What ``pyctl PATH --help`` prints."""
    parts = ["", usage_line(path, usage), "", summary]
    same = _paths_of(path)
    if len(same) > 1:
        parts += ["", "Aliases:", "  " + ", ".join(f"{PROGRAM} {one}" for one in same)]
    parts += options_block("Options:", flags)
    return "\n".join(parts) + "\n"


def usage_line(path: str, usage: str) -> str:
    return f"Usage:  {PROGRAM} {path} {usage}".rstrip()


def group_help(group: str) -> str:
    """What ``pyctl GROUP`` prints."""
    parts = ["", f"Usage:  {PROGRAM} {group} COMMAND", "", table.GROUPS.get(group, ""), "", "Commands:"]
    parts += _rows(table.children(group))
    parts += ["", f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command."]
    return "\n".join(parts) + "\n"


def root_help(flags: Sequence[Flag], plugins: Mapping[str, str]) -> str:
    """What ``pyctl`` and ``pyctl --help`` print. ``plugins`` are the commands that plug-ins add."""
    commands = table.children("")
    parts = ["", f"Usage:  {PROGRAM} [OPTIONS] COMMAND", "", "A Docker-compatible command line for containerd"]
    parts += ["", "Common Commands:", *_rows({name: commands[name] for name in table.COMMON})]
    parts += ["", "Management Commands:", *_rows(table.GROUPS)]
    parts += ["", "Commands:", *_rows({name: text for name, text in commands.items() if name not in table.COMMON})]
    if plugins:
        parts += ["", "Commands of plug-ins:", *_rows(plugins)]
    parts += options_block("Global Options:", flags)
    parts += ["", f"Run '{PROGRAM} COMMAND --help' for more information on a command."]
    return "\n".join(parts) + "\n"


def options_block(title: str, flags: Sequence[Flag]) -> list[str]:
    """The flags by name: shorthand, long name, kind of value, help, and a default worth telling."""
    shown = sorted((flag for flag in flags if not flag.is_hidden and flag.is_supported), key=lambda flag: flag.long)
    if not shown:
        return []
    lefts = []
    for flag in shown:
        short = f"{flag.short}, " if flag.short else "    "
        word = flag.metavar or _WORDS.get(flag.kind, flag.kind)
        lefts.append(f"  {short}{flag.long}{' ' + word if word else ''}")
    width = max(map(len, lefts)) + 3
    return ["", title, *(f"{left:{width}}{flag.help}{_default(flag)}" for left, flag in zip(lefts, shown, strict=True))]


def _default(flag: Flag) -> str:
    value = flag.default
    if not value:
        return ""
    if flag.kind == "string":
        return f' (default "{value}")'
    if flag.kind in ("list", "csv"):
        return f" (default [{','.join(value)}])"
    return f" (default {str(value).lower()})"


def _rows(commands: Mapping[str, str]) -> list[str]:
    width = max(11, *map(len, commands)) if commands else 11
    return [f"  {name:{width}} {text}" for name, text in commands.items()]


def _paths_of(path: str) -> list[str]:
    """Every path to the command, the longer (grouped) ones first, as Docker lists them."""
    target = table.SAME.get(path, path)
    listed = [target, *(other for other, same in table.SAME.items() if same == target)]
    spelled = [other for other, same in table.SPELLINGS.items() if same in listed]
    return sorted({*listed, *spelled}, key=lambda one: (" " not in one, one))
