"""Go's fmt."""

from __future__ import annotations

import pytest

from pyctl.cli.output.templates.gofmt import quote, sprint, sprintf


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.5, "0.5"),
        (1e6, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (1e20, "1e+20"),
        (1e21, "1e+21"),
        (1e-5, "1e-05"),
        (float("inf"), "+Inf"),
        (None, "<nil>"),
        ([None, "a", 1], "[<nil> a 1]"),
        ({"b": 1, "a": [True]}, "map[a:[true] b:1]"),
    ],
)
def test_values_print_as_in_go(value: object, text: str) -> None:
    assert sprint(value) == text


def test_quoting_escapes_what_go_escapes() -> None:
    assert quote('a"b\\c\n\x01é') == '"a\\"b\\\\c\\n\\x01é"'


@pytest.mark.parametrize(
    ("layout", "values", "text"),
    [
        ("%+d|% d|%x|%X|%o|%b|%c|%U", (5, 5, 255, 255, 8, 5, 65, 65), "+5| 5|ff|FF|10|101|A|U+0041"),
        ("%-6s|%6s|%.2s", ("ab", "ab", "abc"), "ab    |    ab|ab"),
        ("%06d|%-6d|", (-42, 42), "-00042|42    |"),
        ("%*d", (5, 42), "   42"),
        ("%q", (["a", "b"],), '["a" "b"]'),
        ("%s", (None,), "%!s(<nil>)"),
        ("%s", (5,), "%!s(int=5)"),
        ("%t", ("x",), "%!t(string=x)"),
        ("100%", (), "100%!(NOVERB)"),
        ("%T %T %T", (1, "a", True), "int string bool"),
    ],
)
def test_verbs_flags_and_marks(layout: str, values: tuple[object, ...], text: str) -> None:
    assert sprintf(layout, values) == text
