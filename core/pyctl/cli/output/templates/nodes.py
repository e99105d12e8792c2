"""The tree of a parsed template. ``str()`` of a node is its source, which error messages quote."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node:
    """Something in a template; ``position`` is the offset that Go's messages would name."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, position: int, text: str) -> None:
        super().__init__(position)
        self.text = text


class Dot(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "."


class Nil(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "nil"


class Literal(Node):
    """A string, number, character or boolean."""

    __slots__ = ("source", "value")

    def __init__(self, position: int, value: Any, source: str) -> None:
        super().__init__(position)
        self.value, self.source = value, source

    def __str__(self) -> str:
        return self.source


class Field(Node):
    """``.A.B`` on dot."""

    __slots__ = ("names",)

    def __init__(self, position: int, names: tuple[str, ...]) -> None:
        super().__init__(position)
        self.names = names

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


class Variable(Node):
    """``$x.A.B``; the name holds the dollar sign."""

    __slots__ = ("name", "names")

    def __init__(self, position: int, name: str, names: tuple[str, ...]) -> None:
        super().__init__(position)
        self.name, self.names = name, names

    def __str__(self) -> str:
        return self.name + "".join(f".{name}" for name in self.names)


class Chain(Node):
    """``(pipeline).A.B``."""

    __slots__ = ("names", "pipe")

    def __init__(self, position: int, pipe: Pipe, names: tuple[str, ...]) -> None:
        super().__init__(position)
        self.pipe, self.names = pipe, names

    def __str__(self) -> str:
        return f"({self.pipe})" + "".join(f".{name}" for name in self.names)


class Identifier(Node):
    """The name of a function."""

    __slots__ = ("name",)

    def __init__(self, position: int, name: str) -> None:
        super().__init__(position)
        self.name = name

    def __str__(self) -> str:
        return self.name


class Command(Node):
    """An operand, or a function with its arguments."""

    __slots__ = ("operands",)

    def __init__(self, position: int, operands: tuple[Node, ...]) -> None:
        super().__init__(position)
        self.operands = operands

    def __str__(self) -> str:
        return " ".join(f"({one})" if isinstance(one, Pipe) else str(one) for one in self.operands)


class Pipe(Node):
    """Commands, each fed with the value of the one before; ``variables`` are set to the result."""

    __slots__ = ("commands", "is_assignment", "variables")

    def __init__(self, position: int, variables: tuple[str, ...], is_assignment: bool, commands: tuple[Command, ...]) -> None:
        super().__init__(position)
        self.variables, self.is_assignment, self.commands = variables, is_assignment, commands

    def __str__(self) -> str:
        head = f"{', '.join(self.variables)} {'=' if self.is_assignment else ':='} " if self.variables else ""
        return head + " | ".join(map(str, self.commands))


class Action(Node):
    """``{{pipeline}}``."""

    __slots__ = ("pipe",)

    def __init__(self, position: int, pipe: Pipe) -> None:
        super().__init__(position)
        self.pipe = pipe


class Branch(Node):
    """``if``, ``with`` or ``range``."""

    __slots__ = ("body", "keyword", "otherwise", "pipe")

    def __init__(self, position: int, keyword: str, pipe: Pipe, body: list[Node], otherwise: list[Node]) -> None:
        super().__init__(position)
        self.keyword, self.pipe, self.body, self.otherwise = keyword, pipe, body, otherwise


class Jump(Node):
    """``break`` or ``continue``."""

    __slots__ = ("keyword",)

    def __init__(self, position: int, keyword: str) -> None:
        super().__init__(position)
        self.keyword = keyword
