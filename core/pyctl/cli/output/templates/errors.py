"""Template errors in Go's words, with Go's line and column."""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError


class TemplateError(InvalidArgumentError):
    """The template is malformed, or does not fit the data. ``is_syntax`` tells the two apart."""

    def __init__(self, message: str, *, is_syntax: bool = False) -> None:
        super().__init__(f"template parsing error: {message}")
        self.is_syntax = is_syntax


def syntax_error(source: str, position: int, message: str) -> TemplateError:
    line = source.count("\n", 0, position) + 1
    return TemplateError(f"template: :{line}: {message}", is_syntax=True)


def runtime_error(source: str, position: int, context: str, message: str) -> TemplateError:
    line = source.count("\n", 0, position) + 1
    column = len(source[source.rfind("\n", 0, position) + 1 : position].encode())
    if len(context) > 20:
        context = f"{context[:20]}..."
    return TemplateError(f'template: :{line}:{column}: executing "" at <{context}>: {message}')
