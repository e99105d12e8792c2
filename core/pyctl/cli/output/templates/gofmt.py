"""How Go's ``fmt`` prints values: ``%v`` and the verbs programs use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def sprint(value: Any) -> str:
    """``%v``: what ``{{.X}}`` prints. A missing value is the caller's business."""
    if value is None:
        return "<nil>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(sprint, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{sprint(value[key])}" for key in sorted(value) if not callable(value[key])) + "]"
    return str(value)


def sprint_all(values: Sequence[Any]) -> str:
    """``fmt.Sprint``: a space between neighbours of which neither is a string."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        parts.append(sprint(value))
    return "".join(parts)


def sprintln(values: Sequence[Any]) -> str:
    return " ".join(map(sprint, values)) + "\n"


def quote(text: str) -> str:
    """``%q``."""
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        else:
            short = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}.get(char)
            code = ord(char)
            out.append(short or (f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"))
    return "".join((*out, '"'))


def sprintf(layout: str, values: Sequence[Any]) -> str:
    """``fmt.Sprintf`` with flags, width and precision, and Go's marks for what does not fit."""
    out: list[str] = []
    position, used = 0, 0
    while True:
        percent = layout.find("%", position)
        if percent < 0:
            out.append(layout[position:])
            break
        out.append(layout[position:percent])
        position = percent + 1
        flags = ""
        while layout[position : position + 1] in ("-", "+", "#", "0", " "):
            flags += layout[position]
            position += 1
        width, position, used = _number(layout, position, values, used)
        precision = None
        if layout[position : position + 1] == ".":
            precision, position, used = _number(layout, position + 1, values, used)
            precision = precision or 0
        verb = layout[position : position + 1]
        position += 1
        if not verb:
            out.append("%!(NOVERB)")
            break
        if verb == "%":
            out.append("%")
        elif used >= len(values):
            out.append(f"%!{verb}(MISSING)")
        else:
            out.append(_pad(_verb(verb, flags, precision, values[used]), flags, width, verb))
            used += 1
    if used < len(values):
        extra = ", ".join(f"{_type(value)}={sprint(value)}" if value is not None else "<nil>" for value in values[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _number(layout: str, position: int, values: Sequence[Any], used: int) -> tuple[int | None, int, int]:
    if layout[position : position + 1] == "*" and used < len(values) and isinstance(values[used], int):
        return values[used], position + 1, used + 1
    end = position
    while layout[end : end + 1].isdigit():
        end += 1
    return (int(layout[position:end]) if end > position else None), end, used


def _verb(verb: str, flags: str, precision: int | None, value: Any) -> str:
    if isinstance(value, (list, tuple)) and verb not in "vT":
        return "[" + " ".join(_verb(verb, flags, precision, one) for one in value) + "]"
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if verb == "v":
        text = sprint(value)
        return f"+{text}" if "+" in flags and is_int and value >= 0 else text
    if verb == "T":
        return _type(value)
    if verb == "t" and isinstance(value, bool):
        return sprint(value)
    if verb == "s" and isinstance(value, str):
        return value if precision is None else value[:precision]
    if verb == "q" and isinstance(value, str):
        return quote(value if precision is None else value[:precision])
    if verb == "q" and is_int:
        return f"'{chr(value)}'"
    if verb in "xX" and isinstance(value, str):
        return format_case(value.encode().hex(), verb)
    if is_int and verb in "dboxXcU":
        return _integer(verb, flags, value)
    if isinstance(value, float) and verb in "feEgFG":
        text = f"%.{precision}{verb}" % value if precision is not None else (f"{value:f}" if verb in "fF" else _float(value))
        return f"+{text}" if "+" in flags and value >= 0 else text
    return f"%!{verb}({_type(value)}={sprint(value)})" if value is not None else f"%!{verb}(<nil>)"


def _integer(verb: str, flags: str, value: int) -> str:
    if verb == "c":
        return chr(value)
    if verb == "U":
        return f"U+{value:04X}"
    sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
    prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
    return sign + prefix + format(abs(value), verb)


def format_case(text: str, verb: str) -> str:
    return text.upper() if verb == "X" else text


def _pad(text: str, flags: str, width: int | None, verb: str) -> str:
    if width is None or len(text) >= abs(width):
        return text
    if "-" in flags or width < 0:
        return text.ljust(abs(width))
    if "0" in flags and verb not in "sqv":
        sign = text[0] if text[:1] in ("+", "-") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _float(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "0"
    # repr has the shortest digits, as Go has; only where the exponent begins they differ.
    mantissa, _, power = repr(value).partition("e")
    digits = mantissa.replace("-", "").replace(".", "").strip("0") or "0"
    exponent = int(f"{value:.17e}".partition("e")[2])
    if -4 <= exponent < 6:
        return mantissa.removesuffix(".0") if not power else f"{value:.{len(digits) - 1 - exponent}f}"
    sign = "-" if value < 0 else ""
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, (list, tuple)):
        return "[]interface {}"
    return {int: "int", float: "float64", str: "string", type(None): "<nil>"}.get(type(value), type(value).__name__)


type_name = _type
