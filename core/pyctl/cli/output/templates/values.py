"""The shapes of data a template may meet, and what Go's field access does on each."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Struct(dict):  # type: ignore[type-arg]
    """A JSON object whose fields are fixed (a Go struct): an unknown field is an error, and case does not matter.

    A plain dict is a Go map: a key that is missing there prints ``<no value>``.
    """


class Row(dict):  # type: ignore[type-arg]
    """One line of a list command. A callable value is a method (``.Label "key"``) and no part of its JSON."""

    type_name = "*formatter.Context"


class FieldError(Exception):
    """No such field, in Go's words."""


def field(value: Any, name: str) -> Any:
    """``value.name``.

    Raises:
        FieldError: a struct or row without it, or a value that has no fields at all.
    """
    if isinstance(value, dict):
        if name in value:
            return value[name]
        if isinstance(value, Row):
            raise FieldError(f"can't evaluate field {name} in type {value.type_name}")
        if isinstance(value, Struct):
            folded = name.lower()
            for key in value:
                if key.lower() == folded:  # {{.ID}} is the Go field, {{.Id}} its JSON key
                    return value[key]
            from pyctl.cli.output.templates.zeros import is_omitted, zero

            if is_omitted(value, name):
                found = zero(name)
                return "" if found is None else found
            raise FieldError(f'map has no entry for key "{name}"')
        return None
    if value is None:
        raise FieldError(f'nil data; no entry for key "{name}"')
    if getattr(value, "is_nil", False):
        raise FieldError(f'map has no entry for key "{value.name}"')
    from pyctl.cli.output.templates.gofmt import type_name

    raise FieldError(f"can't evaluate field {name} in type {type_name(value)}")


def is_true(value: Any) -> bool:
    """Go's truth: anything but false, zero, nil and what is empty."""
    return bool(value)


# Keys of Docker's inspect output whose objects are maps; every other object there is a struct.
MAP_KEYS = frozenset(
    (
        "Annotations",
        "Containers",
        "DriverOpts",
        "ExposedPorts",
        "Labels",
        "Networks",
        "Options",
        "PortBindings",
        "Ports",
        "Runtimes",
        "StorageOpt",
        "Sysctls",
        "Tmpfs",
        "Volumes",
        "Data",
        "Details",
    )
)


def structs(value: Any, key: str = "") -> Any:
    """Decoded JSON with its objects told apart: structs, and maps where Docker has maps."""
    if isinstance(value, dict):
        if key in MAP_KEYS:
            return {name: structs(one) for name, one in value.items()}
        if key == "Config" and all(isinstance(one, str) for one in value.values()):  # HostConfig.LogConfig.Config
            return dict(value)
        return Struct((name, structs(one, name)) for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return [structs(one) for one in value]
    if value is None and key:
        from pyctl.cli.output.templates.zeros import zero

        return zero(key)
    return value


def encode(value: Any) -> str:
    """JSON as Docker writes it: no spaces, maps sorted, structs in their order, and HTML's characters escaped in rows only."""
    import json

    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, Row):
        text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if getattr(value, "is_nil", False):
        return None
    if isinstance(value, dict):
        items = value.items() if isinstance(value, Struct) else sorted(value.items())
        return {key: _plain(one) for key, one in items if not callable(one)}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
