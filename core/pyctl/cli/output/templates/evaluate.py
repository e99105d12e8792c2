"""Walks the tree of a template over data, with Go's semantics."""

from __future__ import annotations

from pyctl.cli.output.templates import nodes
from pyctl.cli.output.templates.errors import TemplateError, runtime_error
from pyctl.cli.output.templates.functions import CallError
from pyctl.cli.output.templates.gofmt import sprint, type_name
from pyctl.cli.output.templates.values import FieldError, field, is_true

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

_ABSENT = object()


class _Jump(Exception):
    """``{{break}}`` or ``{{continue}}`` on its way to its range."""


class Evaluator:
    """One rendering. ``source`` is only for messages."""

    def __init__(self, source: str, functions: Mapping[str, Callable[..., Any]], data: Any) -> None:
        self._source, self._functions = source, functions
        self._out: list[str] = []
        self._variables: list[tuple[str, Any]] = [("$", data)]

    def render(self, body: Sequence[nodes.Node], data: Any) -> str:
        """The text.

        Raises:
            TemplateError: the template does not fit the data.
        """
        self._walk(body, data)
        return "".join(self._out)

    def _walk(self, body: Sequence[nodes.Node], dot: Any) -> None:
        for node in body:
            if isinstance(node, nodes.Text):
                self._out.append(node.text)
            elif isinstance(node, nodes.Action):
                value = self._pipe(node.pipe, dot)
                if not node.pipe.variables:
                    self._out.append("<no value>" if value is None else sprint(value))
            elif isinstance(node, nodes.Branch):
                self._branch(node, dot)
            elif isinstance(node, nodes.Jump):
                raise _Jump(node.keyword)

    def _branch(self, node: nodes.Branch, dot: Any) -> None:
        mark = len(self._variables)
        if node.keyword == "range":
            self._range(node, dot)
        else:
            value = self._pipe(node.pipe, dot)
            if is_true(value):
                self._walk(node.body, value if node.keyword == "with" else dot)
            else:
                self._walk(node.otherwise, dot)
        del self._variables[mark:]

    def _range(self, node: nodes.Branch, dot: Any) -> None:
        names = node.pipe.variables
        value = self._commands(node.pipe, dot)
        if isinstance(value, bool) or not isinstance(value, (dict, list, tuple, int, type(None))):
            raise self._error(node.pipe, f"range can't iterate over {sprint(value)}")
        mark, is_empty = len(self._variables), True
        for key, item in _items(value):
            is_empty = False
            if len(names) == 1:
                self._variables.append((names[0], item))
            elif names:
                self._variables += [(names[0], key), (names[1], item)]
            try:
                self._walk(node.body, item)
            except _Jump as jump:
                if jump.args[0] == "break":
                    break
            finally:
                del self._variables[mark:]
        if is_empty:
            self._walk(node.otherwise, dot)

    def _pipe(self, pipe: nodes.Pipe, dot: Any) -> Any:
        value = self._commands(pipe, dot)
        for name in pipe.variables:
            if not pipe.is_assignment:
                self._variables.append((name, value))
                continue
            for index in range(len(self._variables) - 1, -1, -1):
                if self._variables[index][0] == name:
                    self._variables[index] = (name, value)
                    break
        return value

    def _commands(self, pipe: nodes.Pipe, dot: Any) -> Any:
        value: Any = _ABSENT
        for command in pipe.commands:
            value = self._command(command, dot, value)
        return value

    def _command(self, command: nodes.Command, dot: Any, final: Any) -> Any:
        """One command; ``final`` is what the pipe hands over as its last argument."""
        first, *rest = command.operands
        if isinstance(first, nodes.Identifier):
            return self._call(command, first.name, rest, dot, final)
        has_arguments = bool(rest) or final is not _ABSENT
        if not has_arguments:
            return self._operand(first, dot)
        if isinstance(first, (nodes.Field, nodes.Variable, nodes.Chain)):
            arguments = [self._operand(one, dot) for one in rest]
            return self._operand(first, dot, arguments if final is _ABSENT else [*arguments, final])
        raise self._error(command, f"can't give argument to non-function {first}")

    def _call(self, command: nodes.Command, name: str, operands: Sequence[nodes.Node], dot: Any, final: Any) -> Any:
        if name in ("and", "or"):  # they stop at the first operand that decides
            value: Any = _ABSENT
            for operand in operands:
                value = self._operand(operand, dot)
                if is_true(value) is (name == "or"):
                    return value
            if final is not _ABSENT:
                return final
            if value is _ABSENT:
                raise self._error(command, f"wrong number of args for {name}: want at least 1 got 0")
            return value
        arguments = [self._operand(one, dot) for one in operands]
        if final is not _ABSENT:
            arguments.append(final)
        function = self._functions[name]
        try:
            return function(*arguments)
        except CallError as error:
            raise self._error(command, f"error calling {name}: {error}") from None
        except TypeError:
            code = function.__code__
            has_rest = bool(code.co_flags & 0x04)
            if len(arguments) < code.co_argcount or (len(arguments) > code.co_argcount and not has_rest):
                want = f"at least {code.co_argcount}" if has_rest else str(code.co_argcount)
                message = f"wrong number of args for {name}: want {want} got {len(arguments)}"
                raise self._error(command, message) from None
            kinds = ", ".join(map(type_name, arguments))
            raise self._error(command, f"error calling {name}: wrong type for value; got {kinds}") from None

    def _operand(self, node: nodes.Node, dot: Any, arguments: Sequence[Any] | None = None) -> Any:
        if isinstance(node, nodes.Literal):
            return node.value
        if isinstance(node, nodes.Dot):
            return dot
        if isinstance(node, nodes.Nil):
            raise self._error(node, "nil is not a command")
        if isinstance(node, nodes.Identifier):
            return self._call(nodes.Command(node.position, (node,)), node.name, (), dot, _ABSENT)
        if isinstance(node, nodes.Pipe):
            return self._pipe(node, dot)
        if isinstance(node, nodes.Field):
            return self._fields(node, dot, node.names, arguments)
        if isinstance(node, nodes.Variable):
            return self._fields(node, self._variable(node), node.names, arguments)
        if isinstance(node, nodes.Chain):
            return self._fields(node, self._pipe(node.pipe, dot), node.names, arguments)
        raise TypeError(f"no such operand: {node!r}")

    def _variable(self, node: nodes.Variable) -> Any:
        for name, value in reversed(self._variables):
            if name == node.name:
                return value
        raise self._error(node, f"undefined variable: {node.name}")

    def _fields(self, node: nodes.Node, value: Any, names: Sequence[str], arguments: Sequence[Any] | None) -> Any:
        """Follow a chain of fields; arguments go to the last one, which must be a method then."""
        for index, name in enumerate(names):
            try:
                value = field(value, name)
            except FieldError as error:
                raise self._error(node, str(error)) from None
            given = arguments if arguments is not None and index == len(names) - 1 else None
            if callable(value):
                try:
                    value = value(*(given or ()))
                except TypeError:
                    message = f"wrong number of args for {name}: got {len(given or ())}"
                    raise self._error(node, message) from None
            elif given is not None:
                raise self._error(node, f"{name} has arguments but cannot be invoked as function")
        if arguments is not None and not names:
            raise self._error(node, f"can't give argument to non-function {node}")
        return value

    def _error(self, node: nodes.Node, message: str) -> TemplateError:
        return runtime_error(self._source, node.position, str(node), message)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield key, value[key]
    elif isinstance(value, int):
        for index in range(value):
            yield index, index
    else:
        yield from enumerate(value or ())
