"""Docker's flag grammar (Go's pflag): what may be written, and the words for what may not."""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class UsageError(InvalidArgumentError):
    """The command line itself is wrong. ``command`` is what ``See '... --help'`` names, filled in by the dispatcher."""

    def __init__(self, message: str, *, exit_code: int = 125) -> None:
        super().__init__(message, exit_code=exit_code)
        self.command = ""


class Flag:
    """One flag: its spellings, how its text becomes a value, and what help says.

    ``kind`` is bool, int, uint, float, string, duration (checked, kept as text), list (each text kept) or csv (each text
    split at commas). ``names`` are all spellings with their dashes; ``long`` is the first long one. A flag
    with an ``implied`` text may stand alone (every bool; ``--dry-run``) and takes another text only after ``=``.
    """

    __slots__ = (
        "choices",
        "default",
        "dest",
        "help",
        "implied",
        "is_hidden",
        "is_supported",
        "kind",
        "long",
        "metavar",
        "names",
        "short",
    )

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        kind: str,
        default: Any,
        help: str = "",
        choices: tuple[str, ...] = (),
        metavar: str = "",
        implied: str = "",
        is_supported: bool = True,
        is_hidden: bool = False,
    ) -> None:
        self.dest = ""
        self.names = names
        self.kind = kind
        self.default = default
        self.help = help
        self.choices = choices
        self.metavar = metavar
        self.implied = implied or ("true" if kind == "bool" else "")
        self.is_supported = is_supported
        self.is_hidden = is_hidden
        self.long = self.short = ""
        for name in names:
            if name.startswith("--"):
                self.long = self.long or name
            else:
                self.short = self.short or name

    @property
    def title(self) -> str:
        """The flag as pflag names it in messages: ``-t, --time``."""
        return f"{self.short}, {self.long}" if self.short else self.long


def flag_table(flags: Sequence[Flag]) -> dict[str, Flag]:
    """Every spelling of every flag."""
    return {name: flag for flag in flags for name in flag.names}


def parse(
    argv: Sequence[str], flags: Mapping[str, Flag], *, interspersed: bool = True
) -> tuple[list[tuple[Flag, str]], list[str]]:
    """Split ``argv`` into (flag, text) pairs in the order given, and positionals.

    With ``interspersed`` flags may follow positionals; without, the first positional ends the flags.

    Raises:
        UsageError: unknown flag or missing value, in Docker's words.
    """
    given: list[tuple[Flag, str]] = []
    positionals: list[str] = []
    count, index = len(argv), 0
    while index < count:
        token = argv[index]
        index += 1
        if token == "--":
            positionals += argv[index:]
            break
        if len(token) < 2 or token[0] != "-":
            positionals.append(token)
            if not interspersed:
                positionals += argv[index:]
                break
            continue
        if token[1] == "-":
            name, equals, text = token.partition("=")
            if len(name) == 2 or name[2] == "-":
                raise UsageError(f"bad flag syntax: {token}")
            flag = flags.get(name)
            if flag is None:
                raise _unknown(flags, name)
            if equals:
                given.append((flag, text))
            elif flag.implied:
                given.append((flag, flag.implied))
            elif index < count:
                given.append((flag, argv[index]))
                index += 1
            else:
                raise UsageError(f"flag needs an argument: {name}")
            continue
        cluster = token[1:]
        while cluster:  # -dit, -p80:80, -p=80:80, -d=false
            letter, cluster = cluster[0], cluster[1:]
            flag = flags.get("-" + letter)
            if flag is None:
                raise UsageError(f"unknown shorthand flag: '{letter}' in -{letter}{cluster}")
            if cluster[:1] == "=":
                given.append((flag, cluster[1:]))
                cluster = ""
            elif flag.implied:
                given.append((flag, flag.implied))
            elif cluster:
                given.append((flag, cluster))
                cluster = ""
            elif index < count:
                given.append((flag, argv[index]))
                index += 1
            else:
                raise UsageError(f"flag needs an argument: '{letter}' in -{letter}")
    return given, positionals


def values_of(given: Sequence[tuple[Flag, str]]) -> dict[str, Any]:
    """Typed values by ``dest`` of the flags that were given; the last text wins, lists collect.

    Raises:
        UsageError: a text that is no value of its flag's kind.
    """
    values: dict[str, Any] = {}
    for flag, text in given:
        value = _convert(flag, text)
        if flag.kind in ("list", "csv"):
            value = (*values.get(flag.dest, ()), *value)
        values[flag.dest] = value
    for flag, _ in given:
        if not flag.is_supported and values[flag.dest] != flag.default:
            from pyctl_hookspecs.errors import UnsupportedError

            raise UnsupportedError(f"{flag.long} is not supported yet", exit_code=125)
    return values


def _unknown(flags: Mapping[str, Flag], name: str) -> PyctlError:
    from difflib import get_close_matches  # only when already failing

    error = UsageError(f"unknown flag: {name}")
    near = get_close_matches(name, [spelling for spelling in flags if spelling.startswith("--")], 1, 0.75)
    if near:
        error.hint = f"Did you mean {near[0]}?"
    return error


def _invalid(flag: Flag, text: str, why: str) -> UsageError:
    return UsageError(f'invalid argument {_quote(text)} for "{flag.title}" flag: {why}')


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _convert(flag: Flag, text: str) -> Any:
    kind = flag.kind
    if kind == "string":
        if flag.choices and text not in flag.choices:
            *head, last = [f'"{choice}"' for choice in flag.choices]
            raise _invalid(flag, text, f"must be one of {', '.join(head)} or {last}" if head else f"must be {last}")
        return text
    if kind == "bool":
        if text in TRUE:
            return True
        if text in FALSE:
            return False
        raise _invalid(flag, text, f"strconv.ParseBool: parsing {_quote(text)}: invalid syntax")
    if kind == "list":
        return (text,)
    if kind == "csv":
        return _split_csv(flag, text)
    if kind in ("int", "uint"):
        return _integer(flag, text)
    if kind == "float":
        try:
            if "_" not in text and text == text.strip():
                return float(text)
        except ValueError:
            pass
        raise _invalid(flag, text, f"strconv.ParseFloat: parsing {_quote(text)}: invalid syntax")
    if kind == "duration":
        _check_duration(flag, text)
        return text
    raise ValueError(f"flag {flag.long}: no such kind: {kind}")


def _integer(flag: Flag, text: str) -> int:
    function = "ParseInt" if flag.kind == "int" else "ParseUint"
    digits = text[1:] if text[:1] in ("+", "-") and flag.kind == "int" else text
    base = 10
    if len(digits) > 1 and digits[0] == "0":  # Go reads base 0: 0x10, 0o17, 0b1, 017
        base = {"x": 16, "o": 8, "b": 2}.get(digits[1].lower(), 8)
    try:
        if not digits[:1].isdigit() or not digits.isascii():
            raise ValueError
        value = int(digits if base != 8 or digits[1].lower() == "o" else "0o" + digits[1:], base if base != 10 else 10)
    except ValueError:
        raise _invalid(flag, text, f"strconv.{function}: parsing {_quote(text)}: invalid syntax") from None
    if text[0] == "-":
        value = -value
    if not -(1 << 63) <= value < (1 << 63 if flag.kind == "int" else 1 << 64):
        raise _invalid(flag, text, f"strconv.{function}: parsing {_quote(text)}: value out of range")
    return value


def _split_csv(flag: Flag, text: str) -> tuple[str, ...]:
    if '"' not in text:
        return tuple(text.split(",")) if text else ()
    import csv  # quotes are rare: docker run --label-file '"a,b"'

    try:
        return tuple(next(csv.reader([text], strict=True)))
    except csv.Error:
        raise _invalid(flag, text, 'parse error on line 1, column 1: bare " in non-quoted-field') from None


_UNITS = frozenset(("ns", "us", "µs", "μs", "ms", "s", "m", "h"))


def _check_duration(flag: Flag, text: str) -> None:
    """Refuse what Go's time package would not read as a duration (``1m30s``, ``1.5h``, ``0``), in its words."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return
    if not rest:
        raise _invalid(flag, text, f"time: invalid duration {_quote(text)}")
    while rest:
        number, rest = _span(rest, True)
        unit, rest = _span(rest, False)
        if not number.strip(".") or number.count(".") > 1:
            raise _invalid(flag, text, f"time: invalid duration {_quote(text)}")
        if not unit:
            raise _invalid(flag, text, f"time: missing unit in duration {_quote(text)}")
        if unit not in _UNITS:
            raise _invalid(flag, text, f"time: unknown unit {_quote(unit)} in duration {_quote(text)}")


def _span(text: str, is_number: bool) -> tuple[str, str]:
    end = 0
    while end < len(text) and (text[end] in "0123456789.") is is_number:
        end += 1
    return text[:end], text[end:]
