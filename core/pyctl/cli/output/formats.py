"""``--format`` for list commands and for ``inspect``: table, JSON or template."""

from __future__ import annotations

from pyctl.cli.output.tables import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pyctl.cli.output.templates import Row


def list_text(
    rows: Sequence[Row], layout: str, columns: Sequence[str], headers: Mapping[str, str], *, type_name: str = "Context"
) -> str:
    """What a list command prints.

    ``layout`` is what stands after ``--format``: empty or ``table`` for the default ``columns``, ``json`` for an object per
    line, ``table TEMPLATE``, or a template per row. ``headers`` titles every field of a row; a column may be a method.

    Raises:
        TemplateError: malformed, or it does not fit the rows.
    """
    layout = layout.strip()
    if layout in ("", "table"):
        lines = [[headers[name] for name in columns]]
        lines += [[cell() if callable(cell := row[name]) else cell for name in columns] for row in rows]
        return align(lines)
    for row in rows:
        row.type_name = f"*formatter.{type_name}"
    if layout == "json":
        from pyctl.cli.output.templates.values import encode

        return "".join(encode(row) + "\n" for row in rows)
    return _templated(rows, layout, headers)


def _templated(rows: Sequence[Row], layout: str, headers: Mapping[str, str]) -> str:
    from pyctl.cli.output.tables import align_text
    from pyctl.cli.output.templates import Row, Template

    is_table = layout.startswith("table")
    source = layout.removeprefix("table").strip() if is_table else layout
    template = Template(source.replace("\\t", "\t").replace("\\n", "\n"))
    body = "".join(template.render(row) + "\n" for row in rows)
    if not is_table:
        return body
    titles = Row({**headers, "Label": _label_title})
    return align_text(template.render(titles, is_header=True) + "\n" + body)


def _label_title(name: str) -> str:
    """The title of ``{{.Label "com.example.some-key"}}``: its last part, in words."""
    return name.split(".")[-1].replace("-", " ").replace("_", " ")


def inspect_text(objects: Sequence[Any], layout: str) -> str:
    """What ``inspect`` prints: a JSON array, compact with ``json``, or a line per object with a template.

    Raises:
        TemplateError: malformed (exit code 64, as Docker has it), or it does not fit an object.
    """
    if not layout:
        if not objects:
            return "[]\n"
        import json

        return json.dumps(objects, ensure_ascii=False, indent=4) + "\n"
    from pyctl.cli.output.templates import Template, TemplateError, structs
    from pyctl.cli.output.templates.values import encode

    if layout == "json":
        return encode(structs(list(objects))) + "\n"
    try:
        template = Template(layout)
    except TemplateError as error:
        error.exit_code = 64
        raise
    return "".join(template.render(structs(one)) + "\n" for one in objects) or "\n"
