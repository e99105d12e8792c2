"""Go's text/template with Docker's functions, as far as ``--format`` needs it."""

from __future__ import annotations

from pyctl.cli.output.templates.errors import TemplateError
from pyctl.cli.output.templates.values import Row, Struct, structs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Row", "Struct", "Template", "TemplateError", "structs"]


class Template:
    """A parsed template; rendering it changes nothing, so one serves all rows."""

    def __init__(self, source: str) -> None:
        """Parse.

        Raises:
            TemplateError: malformed, with ``is_syntax`` set; in Go's words.
        """
        from pyctl.cli.output.templates.functions import FUNCTIONS
        from pyctl.cli.output.templates.parser import Parser

        self._source = source
        self._body = Parser(source, FUNCTIONS).parse()

    def render(self, data: Any, *, is_header: bool = False) -> str:
        """The template over ``data``; as a header, functions leave the titles as they are.

        Raises:
            TemplateError: the template does not fit the data.
        """
        from pyctl.cli.output.templates.evaluate import Evaluator
        from pyctl.cli.output.templates.functions import FUNCTIONS, HEADER_FUNCTIONS

        functions = HEADER_FUNCTIONS if is_header else FUNCTIONS
        return Evaluator(self._source, functions, data).render(self._body, data)
