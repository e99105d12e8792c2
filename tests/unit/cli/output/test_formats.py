"""Tables, list formats, inspect formats."""

from __future__ import annotations

import pytest

from pyctl.cli.output.formats import inspect_text, list_text
from pyctl.cli.output.tables import align, align_text
from pyctl.cli.output.templates import Row, TemplateError

HEADERS = {"ID": "CONTAINER ID", "Names": "NAMES", "Status": "STATUS"}
COLUMNS = ("ID", "Status", "Names")


def rows() -> list[Row]:
    found = []
    for number, name in enumerate(("web", "database")):
        row = Row(ID=f"{number}" * 12, Names=name, Status="Up 2 minutes")
        row["Label"] = lambda key: f"<{key}>"
        found.append(row)
    return found


def text(layout: str, of: list[Row] | None = None) -> str:
    return list_text(rows() if of is None else of, layout, COLUMNS, HEADERS, type_name="ContainerContext")


@pytest.mark.parametrize("layout", ["", "table"])
def test_the_default_is_dockers_table(layout: str) -> None:
    assert text(layout) == (
        "CONTAINER ID   STATUS         NAMES\n000000000000   Up 2 minutes   web\n111111111111   Up 2 minutes   database\n"
    )


def test_an_empty_table_has_its_header_with_columns_of_ten() -> None:
    assert text("", []) == "CONTAINER ID   STATUS    NAMES\n"


def test_json_is_an_object_per_line_with_sorted_keys() -> None:
    assert text("json").splitlines()[0] == '{"ID":"000000000000","Names":"web","Status":"Up 2 minutes"}'
    assert text("json") == text("{{json .}}") == text("{{ json . }}")
    assert text("json", []) == ""


def test_a_template_prints_a_line_per_row() -> None:
    assert text("{{.Names}}\\t{{.ID}}") == "web\t000000000000\ndatabase\t111111111111\n"


def test_a_table_template_has_a_header_and_columns() -> None:
    assert text('table {{.Names}}\\t{{.Label "com.acme.some-key"}}\\t{{upper .Status}}') == (
        "NAMES      some key              STATUS\n"
        "web        <com.acme.some-key>   UP 2 MINUTES\n"
        "database   <com.acme.some-key>   UP 2 MINUTES\n"
    )


def test_an_unknown_field_is_an_error_in_dockers_words() -> None:
    with pytest.raises(TemplateError, match=r"template parsing error: .* can't evaluate field Foo in type \*formatter.Contai"):
        text("{{.Foo}}")


def test_the_last_column_is_left_as_it_is() -> None:
    assert align([["a", ""], ["b", "c"]]) == "a         \nb         c\n"


def test_lines_without_a_column_end_its_block() -> None:
    assert align_text("a\tb\nlonger than that\nc\td\n") == "a         b\nlonger than that\nc         d\n"


def test_inspect_without_a_format_is_an_indented_array() -> None:
    assert inspect_text([{"Id": "é<", "L": [], "M": {}}], "") == (
        '[\n    {\n        "Id": "é<",\n        "L": [],\n        "M": {}\n    }\n]\n'
    )
    assert inspect_text([], "") == "[]\n"


def test_inspect_json_is_one_compact_array() -> None:
    assert inspect_text([{"Id": "a", "B": 1}, {"Id": "b"}], "json") == '[{"Id":"a","B":1},{"Id":"b"}]\n'


def test_inspect_with_a_template_prints_a_line_per_object() -> None:
    assert inspect_text([{"Id": "a"}, {"Id": "b"}], "{{.Id}}") == "a\nb\n"
    assert inspect_text([{"Id": "a"}], "{{json .}}") == '{"Id":"a"}\n'
    assert inspect_text([], "{{.Id}}") == "\n"


def test_a_malformed_inspect_template_exits_64() -> None:
    with pytest.raises(TemplateError) as caught:
        inspect_text([{}], "{{")
    assert caught.value.exit_code == 64
