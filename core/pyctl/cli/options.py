"""Option classes: a record whose fields are flags. The class is the flag table; nothing is parsed to read it."""

from __future__ import annotations

from pyctl.cli.flags import Flag
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = {bool: "bool", int: "int", float: "float", str: "string", tuple: "list"}


def flag(
    *names: str,
    default: Any = False,
    help: str = "",
    kind: str = "",
    choices: tuple[str, ...] = (),
    metavar: str = "",
    implied: str = "",
    is_supported: bool = True,
    is_hidden: bool = False,
) -> Any:
    """The default of an option field, with the flag's spellings. ``kind`` follows from the default unless that is None.

    A flag that is not supported yet is parsed like any other and refused when it asks for anything but its default.
    """
    return Flag(
        names,
        kind=kind or _KINDS[type(default)],
        default=default,
        help=help,
        choices=choices,
        metavar=metavar,
        implied=implied,
        is_supported=is_supported,
        is_hidden=is_hidden,
    )


def _no_flags() -> tuple[Flag, ...]:
    return ()


class Options(Record):
    """Base of every option class. ``given`` names the fields the user set, whatever their value."""

    flags = _no_flags()
    interspersed = True  # False: flags end at the first positional (run, exec)

    given: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        found = {flag.dest: flag for flag in cls.flags}
        for name in cls.__dict__.get("__annotations__", {}):  # noqa: RUF063 - inspect is 22 ms of import
            value = cls.__dict__.get(name)
            if isinstance(value, Flag):
                value.dest = name
                found[name] = value
                setattr(cls, name, value.default)
        cls.flags = tuple(found.values())
        super().__init_subclass__()
