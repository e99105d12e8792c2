"""The functions a template may call: Go's own and Docker's."""

from __future__ import annotations

from pyctl.cli.output.templates.gofmt import sprint_all, sprintf, sprintln, type_name
from pyctl.cli.output.templates.values import encode, is_true

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class CallError(Exception):
    """A function does not take what it was given, in Go's words."""


def _index(item: Any, *keys: Any) -> Any:
    for key in keys:
        if item is None:
            # A nil list in Docker's types (a port that is exposed and not published) is merely empty.
            raise CallError(f"index out of range: {key}" if isinstance(key, int) else "index of untyped nil")
        if isinstance(item, dict):
            if not isinstance(key, str):
                raise CallError(f"value has type {type_name(key)}; should be string")
            # Of a map of strings the zero value is the empty string, not "no value".
            item = item.get(key, "" if all(isinstance(one, str) for one in item.values()) else None)
        elif isinstance(item, (list, tuple, str)):
            if not isinstance(key, int) or isinstance(key, bool):
                raise CallError(f"cannot index slice/array with type {type_name(key)}")
            if not 0 <= key < len(item):
                raise CallError(f"index out of range: {key}")
            item = item[key] if not isinstance(item, str) else item.encode()[key]
        else:
            raise CallError(f"can't index item of type {type_name(item)}")
    return item


def _slice(item: Any, *bounds: Any) -> Any:
    if not isinstance(item, (list, tuple, str)):
        raise CallError(f"can't slice item of type {type_name(item)}")
    if len(bounds) > 3 or (len(bounds) == 3 and isinstance(item, str)):
        raise CallError("cannot 3-index slice a string" if isinstance(item, str) else f"too many slice indexes: {len(bounds)}")
    for bound in bounds:
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise CallError(f"cannot index slice/array with type {type_name(bound)}")
        if not 0 <= bound <= len(item):
            raise CallError(f"index out of range: {bound}")
    start = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else len(item)
    if start > end:
        raise CallError(f"invalid slice index: {start} > {end}")
    return item[start:end]


def _length(item: Any) -> int:
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, (list, tuple, dict)):
        return len(item)
    if item is None:
        raise CallError("len of untyped nil")
    raise CallError(f"len of type {type_name(item)}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float, str)):
        return type(value).__name__
    return "nil" if value is None else "other"


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    for other in others:
        kinds = {_kind(first), _kind(other)}
        if "other" in kinds and "nil" not in kinds:
            raise CallError(f"non-comparable type {type_name(first if _kind(first) == 'other' else other)}")
        if len(kinds) > 1 and "nil" not in kinds:
            raise CallError("incompatible types for comparison")
        if first == other:
            return True
    return False


def _less(first: Any, second: Any) -> bool:
    if _kind(first) != _kind(second):
        raise CallError("incompatible types for comparison")
    if _kind(first) not in ("int", "float", "str"):
        raise CallError("invalid type for comparison")
    return bool(first < second)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise CallError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise CallError(f"wrong type for value; expected []string; got {type_name(value)}")
    return [_text(one) for one in value]


def _title(value: Any) -> str:
    out, previous = [], " "
    for char in _text(value):
        out.append(char.title() if not (previous.isalnum() or previous in "_'") else char)
        previous = char
    return "".join(out)


def _pad(value: Any, before: int, after: int) -> str:
    text = _text(value)
    return " " * before + text + " " * after if text else text


def _truncate(value: Any, length: int) -> str:
    return _text(value)[:length]


def _print(*values: Any) -> str:
    return sprint_all(values)


def _html(*values: Any) -> str:
    text = sprint_all(values)
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        text = text.replace(char, entity)
    return text


def _urlquery(*values: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(sprint_all(values), safe="")


def _split(text: Any, separator: Any) -> list[str]:
    return _text(text).split(_text(separator)) if separator else list(_text(text))


# ``and`` and ``or`` are the evaluator's, because they do not evaluate what they do not need.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: next((one for one in values if not is_true(one)), values[-1]),
    "or": lambda *values: next((one for one in values if is_true(one)), values[-1]),
    "not": lambda value: not is_true(value),
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or _equal(first, second),
    "gt": lambda first, second: _less(second, first),
    "ge": lambda first, second: _less(second, first) or _equal(first, second),
    "index": _index,
    "slice": _slice,
    "len": _length,
    "print": _print,
    "printf": lambda layout, *values: sprintf(_text(layout), values),
    "println": lambda *values: sprintln(values),
    "html": _html,
    "urlquery": _urlquery,
    "json": encode,
    "join": lambda values, separator: _text(separator).join(_texts(values)),
    "split": _split,
    "title": _title,
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "pad": _pad,
    "truncate": _truncate,
}


def _as_is(value: Any, *_: Any) -> Any:
    return value


# Over the header row of a table: what changes a value leaves its title alone.
HEADER_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **FUNCTIONS,
    **dict.fromkeys(("json", "title", "lower", "upper", "truncate", "join", "split"), _as_is),
}
