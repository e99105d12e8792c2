"""From tokens to a tree."""

from __future__ import annotations

from pyctl.cli.output.templates import nodes
from pyctl.cli.output.templates.errors import syntax_error
from pyctl.cli.output.templates.lexer import Token, tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from pyctl.cli.output.templates.errors import TemplateError

_EOF = "EOF"


class Parser:
    """Parses one template; ``functions`` are the names that may be called."""

    def __init__(self, source: str, functions: Collection[str]) -> None:
        self._source, self._functions = source, functions
        self._tokens = tokens(source)
        self._tokens.append(Token(_EOF, len(source), ""))
        self._index = 0
        self._variables = ["$"]
        self._range_depth = 0

    def parse(self) -> list[nodes.Node]:
        """The whole template.

        Raises:
            TemplateError: malformed; in Go's words.
        """
        body, end = self._list()
        if end is not None:
            raise self._error(end, f"unexpected {{{{{end.source}}}}}")
        return body

    def _list(self) -> tuple[list[nodes.Node], Token | None]:
        """Nodes up to ``{{end}}`` or ``{{else``, whose keyword is returned, or to the end of the template."""
        found: list[nodes.Node] = []
        while True:
            token = self._next()
            if token.kind == _EOF:
                return found, None
            if token.kind == "text":
                found.append(nodes.Text(token.position, token.source))
                continue
            head = self._peek()
            if head.kind != "keyword" or head.source == "nil":
                found.append(nodes.Action(head.position, self._pipe("command", "close")))
            elif head.source in ("end", "else"):
                return found, self._next()
            elif head.source in ("if", "with", "range"):
                found.append(self._branch(self._next()))
            elif head.source in ("break", "continue"):
                self._next()
                if not self._range_depth:
                    raise self._error(head, f"{{{{{head.source}}}}} outside {{{{range}}}}")
                self._expect_close()
                found.append(nodes.Jump(head.position, head.source))
            else:
                raise self._error(head, f"{{{{{head.source}}}}} is not supported")

    def _branch(self, keyword: Token) -> nodes.Branch:
        scope = len(self._variables)
        pipe = self._pipe(keyword.source, "close")
        self._range_depth += keyword.source == "range"
        body, end = self._list()
        self._range_depth -= keyword.source == "range"
        otherwise: list[nodes.Node] = []
        if end is not None and end.source == "else":
            following = self._peek()
            if following.kind == "keyword" and following.source == keyword.source and keyword.source != "range":
                otherwise = [self._branch(self._next())]  # {{else if}} shares the {{end}}
                del self._variables[scope:]
                return nodes.Branch(keyword.position, keyword.source, pipe, body, otherwise)
            self._expect_close()
            otherwise, end = self._list()
            if end is not None and end.source == "else":
                raise self._error(end, "expected end; found {{else}}")
        if end is None:
            raise self._error(self._peek(), "unexpected EOF")
        self._expect_close()
        del self._variables[scope:]
        return nodes.Branch(keyword.position, keyword.source, pipe, body, otherwise)

    def _pipe(self, context: str, closer: str) -> nodes.Pipe:
        start = self._peek()
        variables, is_assignment = self._declarations(context)
        commands: list[nodes.Command] = []
        while True:
            commands.append(self._command(context))
            token = self._next()
            if token.kind == closer:
                break
            if token.kind != "|":
                raise self._unexpected(token, context)
        if not is_assignment:
            self._variables += variables
        return nodes.Pipe(start.position, tuple(variables), is_assignment, tuple(commands))

    def _declarations(self, context: str) -> tuple[list[str], bool]:
        ahead = [one.kind for one in self._tokens[self._index : self._index + 4]]
        if ahead[:2] in (["variable", ":="], ["variable", "="]):
            count = 1
        elif ahead == ["variable", ",", "variable", ":="] and context == "range":
            count = 2
        else:
            return [], False
        names = [self._tokens[self._index + 2 * step].source for step in range(count)]
        self._index += 2 * count
        is_assignment = self._tokens[self._index - 1].kind == "="
        if is_assignment and names[0] not in self._variables:
            raise self._error(self._peek(), f'undefined variable "{names[0]}"')
        return names, is_assignment

    def _command(self, context: str) -> nodes.Command:
        start = self._peek()
        operands: list[nodes.Node] = []
        while self._peek().kind not in ("|", "close", ")"):
            if operands and not self._peek().spaced:
                raise self._unexpected(self._peek(), "operand")
            operands.append(self._operand(context))
        if not operands:
            if start.kind == "close" or start.kind == ")":
                raise self._error(start, f"missing value for {context}")
            raise self._error(start, "empty command")
        first = operands[0]
        if len(operands) > 1 and isinstance(first, (nodes.Literal, nodes.Dot, nodes.Nil)):
            raise self._error(start, f"can't give argument to non-function {first}")
        return nodes.Command(start.position, tuple(operands))

    def _operand(self, context: str) -> nodes.Node:
        token = self._next()
        if token.kind == "literal":
            return nodes.Literal(token.position, token.value, token.source)
        if token.kind == "keyword" and token.source == "nil":
            return nodes.Nil(token.position)
        if token.kind == "dot":
            return nodes.Dot(token.position)
        if token.kind == "word":
            if token.source not in self._functions:
                raise self._error(token, f'function "{token.source}" not defined')
            return nodes.Identifier(token.position, token.source)
        if token.kind == "field":
            position, names = self._chain(token.position)
            return nodes.Field(position, (str(token.value), *names))
        if token.kind == "variable":
            if token.source not in self._variables:
                raise self._error(token, f'undefined variable "{token.source}"')
            position, names = self._chain(token.position)
            return nodes.Variable(position, token.source, names)
        if token.kind == "(":
            pipe = self._pipe("parenthesized pipeline", ")")
            position, names = self._chain(token.position)
            return nodes.Chain(position, pipe, names) if names else pipe
        raise self._unexpected(token, context)

    def _chain(self, position: int) -> tuple[int, tuple[str, ...]]:
        """Fields written directly behind an operand. Go names the first of them in its messages."""
        names: list[str] = []
        while self._peek().kind == "field" and not self._peek().spaced:
            token = self._next()
            if not names:
                position = token.position
            names.append(str(token.value))
        return position, tuple(names)

    def _peek(self) -> Token:
        return self._tokens[self._index]

    def _next(self) -> Token:
        token = self._tokens[self._index]
        self._index += token.kind != _EOF
        return token

    def _expect_close(self) -> None:
        token = self._next()
        if token.kind != "close":
            raise self._unexpected(token, "end")

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind == _EOF:
            return self._error(token, "unexpected EOF")
        shown = token.source if token.kind == "literal" else f"<{token.source}>" if token.kind == "field" else f'"{token.source}"'
        return self._error(token, f"unexpected {shown} in {context}")

    def _error(self, token: Token, message: str) -> TemplateError:
        return syntax_error(self._source, token.position, message)
