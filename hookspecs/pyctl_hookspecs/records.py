"""Immutable keyword-only records: what a frozen dataclass gives, without importing ``dataclasses``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """Base of everything that crosses a hook or a layer.

    Subclasses annotate their fields; a field with a class attribute has that as its default.
    Equality, hashing and ``repr`` go by value. The arguments of ``replace`` are checked when it runs.
    """

    __fields__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        names = dict.fromkeys(cls.__fields__)
        for name in cls.__dict__.get("__annotations__", {}):  # noqa: RUF063 - inspect is 22 ms of import
            if name.startswith("_"):
                raise TypeError(f"{cls.__name__}.{name}: a record has no private fields")
            if getattr(cls, name, None).__class__ in (list, dict, set):
                raise TypeError(f"{cls.__name__}.{name}: mutable default")
            names[name] = None
        cls.__fields__ = tuple(names)

    def __init__(self, **values: Any) -> None:
        own = self.__dict__
        cls = type(self)
        for name in self.__fields__:
            if name in values:
                own[name] = values.pop(name)
            elif hasattr(cls, name):
                own[name] = getattr(cls, name)
            else:
                raise TypeError(f"{cls.__name__}: missing field {name!r}")
        if values:
            raise TypeError(f"{cls.__name__}: unknown field {next(iter(values))!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed.

        Raises:
            TypeError: a name that is no field.
        """
        return type(self)(**{**self.__dict__, **changes})

    def as_dict(self) -> dict[str, Any]:
        """Plain data, nested records and tuples included: ready for JSON if the leaves are."""
        return {name: _plain(value) for name, value in self.__dict__.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
