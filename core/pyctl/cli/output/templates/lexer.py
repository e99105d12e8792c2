"""From a template's text to tokens, with Go's trim markers and comments taken care of."""

from __future__ import annotations

from pyctl.cli.output.templates.errors import syntax_error

KEYWORDS = frozenset(("if", "else", "end", "range", "with", "break", "continue", "define", "template", "block", "nil"))
_SPACE = " \t\r\n"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


class Token:
    """``kind`` is text, open, close, field, dot, variable, word, literal, or the punctuation itself.

    ``spaced`` says that white space stands before it: ``.A .B`` are two operands and ``.A.B`` is one.
    """

    __slots__ = ("kind", "position", "source", "spaced", "value")

    def __init__(self, kind: str, position: int, source: str, value: object = None, spaced: bool = False) -> None:
        self.kind, self.position, self.source, self.value, self.spaced = kind, position, source, value, spaced


def tokens(source: str) -> list[Token]:
    """All tokens.

    Raises:
        TemplateError: unclosed action, comment or string, or a character that cannot stand there.
    """
    found: list[Token] = []
    position, trim_next = 0, False
    while True:
        start = source.find("{{", position)
        text = source[position:] if start < 0 else source[position:start]
        if trim_next:
            text = text.lstrip(_SPACE)
        if start < 0:
            if text:
                found.append(Token("text", position, text))
            return found
        inner = start + 2
        if source[inner : inner + 1] == "-" and source[inner + 1 : inner + 2] in (" ", "\t", "\r", "\n"):
            text = text.rstrip(_SPACE)
            inner += 1
        if text:
            found.append(Token("text", position, text))
        comment = inner
        while source[comment : comment + 1] in (" ", "\t", "\r", "\n"):
            comment += 1
        if source.startswith("/*", comment):
            position, trim_next = _comment(source, comment)
            continue
        found.append(Token("open", start, "{{"))
        position, trim_next = _action(source, inner, found)


def _comment(source: str, start: int) -> tuple[int, bool]:
    end = source.find("*/", start)
    if end < 0:
        raise syntax_error(source, start, "unclosed comment")
    end += 2
    if source.startswith("}}", end):
        return end + 2, False
    if source[end : end + 1] in (" ", "\t", "\r", "\n") and source.startswith("-}}", end + 1):
        return end + 4, True
    raise syntax_error(source, start, "comment ends before closing delimiter")


def _action(source: str, position: int, found: list[Token]) -> tuple[int, bool]:
    """Tokens up to the closing braces; where to go on, and whether the text there loses its leading space."""
    spaced, depth = False, 0
    while True:
        if position >= len(source):
            raise syntax_error(source, position, "unclosed action")
        char = source[position]
        if char in _SPACE:
            if source.startswith("-}}", position + 1):
                found.append(Token("close", position, "}}"))
                return position + 4, True
            position, spaced = position + 1, True
            continue
        if source.startswith("}}", position):
            if depth:
                raise syntax_error(source, position, "unclosed left paren")
            found.append(Token("close", position, "}}"))
            return position + 2, False
        token = _token(source, position)
        depth += (token.kind == "(") - (token.kind == ")")
        if depth < 0:
            raise syntax_error(source, position, "unexpected right paren")
        token.spaced, spaced = spaced, False
        found.append(token)
        position += len(token.source)


def _token(source: str, start: int) -> Token:
    char = source[start]
    if char in "(),|":
        return Token(char, start, char)
    if char == "=":
        return Token("=", start, char)
    if char == ":":
        if source.startswith(":=", start):
            return Token(":=", start, ":=")
        raise syntax_error(source, start, "expected :=")
    if char == "." and not source[start + 1 : start + 2].isdigit():
        name = _word(source, start + 1)
        return Token("field", start, f".{name}", name) if name else Token("dot", start, ".")
    if char == "$":
        return Token("variable", start, "$" + _word(source, start + 1))
    if char == '"':
        return _string(source, start, '"')
    if char == "`":
        end = source.find("`", start + 1)
        if end < 0:
            raise syntax_error(source, start, "unterminated raw quoted string")
        return Token("literal", start, source[start : end + 1], source[start + 1 : end])
    if char == "'":
        token = _string(source, start, "'")
        token.value = ord(str(token.value)) if len(str(token.value)) == 1 else 0
        return token
    if char.isdigit() or char in "+-.":
        return _number(source, start)
    name = _word(source, start)
    if not name:
        raise syntax_error(source, start, f"unexpected {_describe(char)} in command")
    if name in ("true", "false"):
        return Token("literal", start, name, name == "true")
    return Token("keyword" if name in KEYWORDS else "word", start, name, name)


def _describe(char: str) -> str:
    return f'"{char}"' if char.isprintable() and char.isascii() else f"bad character U+{ord(char):04X}"


def _word(source: str, start: int) -> str:
    end = start
    while end < len(source) and (source[end] == "_" or source[end].isalnum()):
        end += 1
    return source[start:end]


def _string(source: str, start: int, quote: str) -> Token:
    kind = "quoted string" if quote == '"' else "character constant"
    position, text = start + 1, ""
    while True:
        char = source[position : position + 1]
        if not char or char == "\n":
            raise syntax_error(source, start, f"unterminated {kind}")
        if char == quote:
            return Token("literal", start, source[start : position + 1], text)
        if char != "\\":
            text, position = text + char, position + 1
            continue
        escape = source[position + 1 : position + 2]
        digits = {"x": 2, "u": 4, "U": 8}.get(escape, 0)
        if escape in _ESCAPES:
            text += _ESCAPES[escape]
        elif digits:
            try:
                text += chr(int(source[position + 2 : position + 2 + digits], 16))
            except ValueError:
                raise syntax_error(source, start, "invalid syntax") from None
        else:
            raise syntax_error(source, start, "invalid syntax")
        position += 2 + digits


def _number(source: str, start: int) -> Token:
    end = start + 1
    while end < len(source) and (
        source[end].isalnum() or source[end] in "._" or (source[end] in "+-" and source[end - 1] in "eE")
    ):
        end += 1
    text = source[start:end]
    for convert in (lambda t: int(t, 0), float):
        try:
            return Token("literal", start, text, convert(text))
        except ValueError:
            continue
    raise syntax_error(source, start, f'bad number syntax: "{text}"')
