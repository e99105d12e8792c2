"""Go templates: what programs write after --format, and Go's words for what does not work."""

from __future__ import annotations

import pytest

from pyctl.cli.output.templates import Row, Template, TemplateError, structs

CONTAINER = structs(
    {
        "Id": "abc",
        "Name": "/web",
        "Config": {"Labels": {"a": "1", "b.c": "2"}, "Env": ["A=1", "B=2"], "Cmd": []},
        "State": {"Pid": 12, "Running": True, "ExitCode": 0, "Error": ""},
        "Mounts": [{"Type": "bind", "Source": "/a"}, {"Type": "volume", "Source": "/b"}],
        "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None},
            "Networks": {"bridge": {"IPAddress": "10.4.0.2"}, "other": {"IPAddress": "10.5.0.2"}},
        },
        "Nothing": None,
        "Ratio": 1.5,
        "Html": "<a&b>",
    }
)


def render(source: str, data: object = CONTAINER) -> str:
    return Template(source).render(data)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.Id}}", "abc"),
        ("{{.ID}}", "abc"),
        ("'{{ .Id }}'", "'abc'"),
        ("{{.State.Pid}} {{.State.Running}} {{.Ratio}}", "12 true 1.5"),
        ("{{.Config.Env}} {{.Config.Labels}} {{.Config.Cmd}}", "[A=1 B=2] map[a:1 b.c:2] []"),
        ("{{.Nothing}}", "<no value>"),
        ("{{.Config.Labels.missing}}", "<no value>"),
        ('{{index .Config.Labels "b.c"}}|{{index .Config.Labels "missing"}}|', "2||"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ('{{index .NetworkSettings.Ports "80/tcp" 0}}', "map[HostIp:0.0.0.0 HostPort:8080]"),
        ("{{range .Mounts}}{{.Source}};{{end}}", "/a;/b;"),
        ('{{range .Mounts}}{{if eq .Type "bind"}}b{{else if eq .Type "volume"}}v{{else}}?{{end}}{{end}}', "bv"),
        ("{{range $i, $m := .Mounts}}{{$i}}={{$m.Source}} {{end}}", "0=/a 1=/b "),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}:{{$v.IPAddress}},{{end}}", "bridge:10.4.0.2,other:10.5.0.2,"),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ('{{range .Config.Env}}{{if eq . "A=1"}}{{continue}}{{end}}{{.}}{{break}}{{end}}', "B=2"),
        ("{{with .State}}{{.Pid}}{{end}}{{with .State.Error}}x{{else}}ok{{end}}", "12ok"),
        ("{{$x := .Mounts}}{{len $x}}", "2"),
        ("{{$x := 1}}{{$x = 2}}{{$x}}", "2"),
        ("{{range .Mounts}}{{$.Id}}{{end}}", "abcabc"),
        ("{{if and .State.Running (eq .State.ExitCode 0)}}up{{end}}", "up"),
        ("{{if or .State.Error .Nothing}}x{{else}}y{{end}}", "y"),
        ('{{or .State.Error "none"}} {{and .Id .Name}} {{not .Id}}', "none /web false"),
        ('{{eq .Id "x" "abc"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 2 3}}', "true true true true false false"),
        ('{{.Id | upper | printf "%s!"}}', "ABC!"),
        (
            '{{printf "%q %-5s| %5s|%05d %t %v %x %%" .Id .Id .Id .State.Pid .State.Running .Config.Env 255}}',
            '"abc" abc  |   abc|00012 true [A=1 B=2] ff %',
        ),
        ('{{printf "%d %s" .Id}}', "%!d(string=abc) %!s(MISSING)"),
        ('{{printf "%s" "a" "b"}}', "a%!(EXTRA string=b)"),
        ('{{printf "%.2f %6.1f" .Ratio .Ratio}}', "1.50    1.5"),
        ('{{join .Config.Env ","}} {{split "a,b" ","}} {{lower "AB"}} {{title "hello world"}}', "A=1,B=2 [a b] ab Hello World"),
        ("{{pad .Id 1 2}}|{{truncate .Id 2}}|{{slice .Id 1 2}}", " abc  |ab|b"),
        ("{{println .Id 1}}", "abc 1\n"),
        ('{{print "a" 1 2 "b"}}', "a1 2b"),
        ("{{json .Config}}", '{"Labels":{"a":"1","b.c":"2"},"Env":["A=1","B=2"],"Cmd":[]}'),
        ("{{json .Html}}{{html .Html}}", '"<a&b>"&lt;a&amp;b&gt;'),
        ("a {{- .Id -}} b", "aabcb"),
        ("a{{/* no */}}b{{- /* no */ -}}  c", "abc"),
        ('{{"tab\\t"}}{{`raw\\t`}}{{1.5}}{{true}}', "tab\traw\\t1.5true"),
        ("{{len .Id}}{{len .Config.Labels}}", "32"),
        ("{{ .Config.Env | len }}", "2"),
        ("plain", "plain"),
    ],
)
def test_templates_render_as_in_go(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{.Id", "template: :1: unclosed action"),
        ("{{if .Id}}x", "template: :1: unexpected EOF"),
        ("a\n{{end}}", "template: :2: unexpected {{end}}"),
        ("{{foo .}}", 'template: :1: function "foo" not defined'),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
        ("{{}}", "template: :1: missing value for command"),
        ("{{if}}x{{end}}", "template: :1: missing value for if"),
        ('{{"a', "template: :1: unterminated quoted string"),
        ("{{(.Id}}", "template: :1: unclosed left paren"),
        ("{{.Id)}}", "template: :1: unexpected right paren"),
        ("{{/* x", "template: :1: unclosed comment"),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ('{{"a" "b"}}', 'template: :1: can\'t give argument to non-function "a"'),
    ],
)
def test_a_malformed_template_is_a_syntax_error_in_gos_words(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(source)
    assert str(caught.value) == f"template parsing error: {message}"
    assert caught.value.is_syntax


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        (
            "{{.State.Health.Status}}",
            'template: :1:8: executing "" at <.State.Health.Status>: map has no entry for key "Health"',
        ),
        ("{{.Id.Foo}}", 'template: :1:5: executing "" at <.Id.Foo>: can\'t evaluate field Foo in type string'),
        ("{{index .Mounts 5}}", 'template: :1:2: executing "" at <index .Mounts 5>: error calling index: index out of range: 5'),
        ("{{len 3}}", 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'),
        ("{{eq .Id 1}}", 'template: :1:2: executing "" at <eq .Id 1>: error calling eq: incompatible types for comparison'),
        ("{{lower}}", 'template: :1:2: executing "" at <lower>: wrong number of args for lower: want 1 got 0'),
        ("{{range .Id}}{{end}}", 'template: :1:8: executing "" at <.Id>: range can\'t iterate over abc'),
        ("{{.Id 1}}", 'template: :1:2: executing "" at <.Id>: Id has arguments but cannot be invoked as function'),
    ],
)
def test_a_template_that_does_not_fit_the_data_says_where(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(source)
    assert str(caught.value) == f"template parsing error: {message}"
    assert not caught.value.is_syntax


def test_an_unknown_field_of_a_row_names_its_type() -> None:
    row = Row(ID="x")
    row.type_name = "*formatter.ContainerContext"
    with pytest.raises(TemplateError, match=r"can't evaluate field Foo in type \*formatter.ContainerContext"):
        render("{{.Foo}}", row)


def test_methods_of_a_row_take_arguments_and_stay_out_of_its_json() -> None:
    row = Row(B="2", A="1")
    row["Label"] = lambda name: f"<{name}>"
    assert render('{{.Label "x"}} {{json .}}', row) == '<x> {"A":"1","B":"2"}'
    with pytest.raises(TemplateError, match="wrong number of args for Label"):
        render("{{.Label}}", row)


def test_lines_and_columns_of_errors_count_from_the_right_line() -> None:
    with pytest.raises(TemplateError, match=r"template: :2:3: "):
        render("a\nb{{.Foo}}")


def test_control_and_separator_characters_are_escaped_in_json() -> None:
    assert render("{{json .}}", "a\u2028\x01é") == '"a\\u2028\\u0001é"'


def test_a_row_escapes_what_html_would_read_as_docker_does() -> None:
    assert render("{{json .}} {{json .A}}", Row({"A": "0.0.0.0:80->80/tcp"})) == (
        '{"A":"0.0.0.0:80-\\u003e80/tcp"} "0.0.0.0:80->80/tcp"'
    )
