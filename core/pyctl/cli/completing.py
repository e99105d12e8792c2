"""What could come next on a command line: commands and flags from the tables, names from one light look."""

from __future__ import annotations

from pyctl.cli import table
from pyctl.cli.dispatch import HELP
from pyctl.cli.flags import Flag, flag_table
from pyctl.cli.global_options import GlobalOptions
from pyctl.cli.signatures import Signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Kinds of names, by the positional parameter or the flag that takes them.
_POSITIONALS = {
    "container": ("containers",),
    "containers": ("containers",),
    "image": ("images",),
    "images": ("images",),
    "source": ("images",),
    "target": ("images",),
    "names": ("containers", "images"),
    "network": ("networks",),
    "networks": ("networks",),
    "removable_networks": ("removable-networks",),
    "volumes": ("volumes",),
    "shell": ("shells",),
}
_FLAGS = {
    "--network": ("networks",),
    "--volumes-from": ("containers",),
    "--log-driver": ("log-drivers",),
    "--snapshotter": ("snapshotters",),
    "--format": ("formats",),
    "--restart": ("restarts",),
}
# For these any file may be meant.
_FILE_FLAGS = frozenset(
    ("--cidfile", "--env-file", "--input", "--label-file", "--output", "--pidfile", "--volume", "--address", "--data-root")
)
FILES = ":files"


def candidates(words: Sequence[str], names: Callable[[str], Sequence[str]]) -> list[tuple[str, str]]:
    """What the last of ``words`` may become, each with a short explanation (empty for names).

    ``names`` gives the names of a kind (containers, images, networks, volumes, ...). The last entry is ``FILES`` when file
    names fit as well.
    """
    *before, current = words or [""]
    path, rest = _command_of(before)
    entry = table.find(path)
    if entry is None:
        if current.startswith("-"):
            return _matching(_flag_rows(GlobalOptions.flags), current)
        pending = _pending_flag(rest, flag_table(GlobalOptions.flags))
        if pending is not None:
            return _values(pending, current, "", names)
        if path and not table.is_group(path):
            return []
        groups = [] if path else list(table.GROUPS.items())
        return _matching([*table.children(path).items(), *groups], current)
    return _of_command(entry[0], rest, current, names)


def _command_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """The path that the words begin with, and the words after it; flags before the command are stepped over."""
    globals_table = flag_table(GlobalOptions.flags)
    path, index = "", 0
    while index < len(words):
        word = words[index]
        if word.startswith("-"):
            flag = globals_table.get(word)
            if flag is not None and not flag.implied and index + 1 == len(words):
                return path, [word]
            index += 1 if flag is None or flag.implied else 2
            continue
        path = f"{path} {word}".lstrip()
        index += 1
        if not table.is_group(path):
            break
    return path, list(words[index:])


def _of_command(target: str, rest: Sequence[str], current: str, names: Callable[[str], Sequence[str]]) -> list[tuple[str, str]]:
    from importlib import import_module

    module, _, attribute = target.partition(":")
    signature = Signature(getattr(import_module(module), attribute))
    own = signature.options.flags if signature.options else ()
    interspersed = signature.options is None or signature.options.interspersed
    spellings = {
        **{name: flag for name, flag in flag_table(GlobalOptions.flags).items() if name.startswith("--")},
        **flag_table(own),
    }
    count, index = 0, 0
    while index < len(rest):
        word = rest[index]
        if word == "--" or not word.startswith("-") or word == "-":
            count += word != "--"
            if not interspersed:
                return [(FILES, "")]  # from here on everything is the container's
        else:
            pending = _takes_next(word, spellings)
            if pending is not None and index + 1 == len(rest):
                return _values(pending, current, "", names)
            index += pending is not None
        index += 1
    if current.startswith("-"):
        name, equals, text = current.partition("=")
        if equals and name in spellings:
            return _values(spellings[name], text, f"{name}=", names)
        return _matching(_flag_rows(own), current)
    return _positional(signature, count, current, names)


def _positional(signature: Signature, count: int, current: str, names: Callable[[str], Sequence[str]]) -> list[tuple[str, str]]:
    if not signature.positionals:
        return []
    parameter, takes_rest = signature.positionals[min(count, len(signature.positionals) - 1)]
    if count >= len(signature.positionals) and not takes_rest:
        return []
    found = [(name, "") for kind in _POSITIONALS.get(parameter, ()) for name in names(kind)]
    return _matching(found, current)


def _takes_next(word: str, spellings: dict[str, Flag]) -> Flag | None:
    """The flag that waits for the following word as its value, if this one ends with such a flag."""
    if word.startswith("--"):
        flag = spellings.get(word)
        return flag if flag is not None and not flag.implied else None
    for position, letter in enumerate(word[1:], 2):
        flag = spellings.get(f"-{letter}")
        if flag is None:
            return None
        if not flag.implied:
            return flag if position == len(word) else None
    return None


def _pending_flag(rest: Sequence[str], spellings: dict[str, Flag]) -> Flag | None:
    return _takes_next(rest[-1], spellings) if rest and rest[-1].startswith("-") else None


def _values(flag: Flag, current: str, prefix: str, names: Callable[[str], Sequence[str]]) -> list[tuple[str, str]]:
    if flag.kind == "bool":
        options: Sequence[str] = ("true", "false")
    elif flag.choices:
        options = flag.choices
    elif flag.long in _FLAGS:
        options = [name for kind in _FLAGS[flag.long] for name in names(kind)]
    else:
        return [(FILES, "")] if flag.long in _FILE_FLAGS else []
    return [(prefix + option, "") for option in options if option.startswith(current)]


def _flag_rows(flags: Sequence[Flag]) -> list[tuple[str, str]]:
    shown = [flag for flag in (*flags, HELP) if flag.is_supported and not flag.is_hidden]
    return sorted((flag.long, flag.help) for flag in shown)


def _matching(rows: Sequence[tuple[str, str]], current: str) -> list[tuple[str, str]]:
    return [row for row in rows if row[0].startswith(current)]
