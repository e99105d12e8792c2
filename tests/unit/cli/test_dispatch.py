"""From argv to a command."""

from __future__ import annotations

import pytest

from pyctl.cli import table
from pyctl.cli.dispatch import Answer, Invocation, parse_command_line
from pyctl.cli.flags import UsageError
from pyctl.cli.signatures import Signature
from pyctl_hookspecs.errors import UnsupportedError


def invocation(*argv: str) -> Invocation:
    parsed = parse_command_line(argv)
    assert isinstance(parsed, Invocation)
    return parsed


def answer(*argv: str) -> str:
    parsed = parse_command_line(argv)
    assert isinstance(parsed, Answer)
    return parsed.text


def test_run_takes_the_image_and_leaves_the_rest_alone() -> None:
    parsed = invocation("run", "-d", "--name", "web", "nginx", "sh", "-c", "echo hi")
    assert parsed.positionals == {"image": "nginx", "command": ("sh", "-c", "echo hi")}
    assert parsed.options is not None
    assert parsed.options.given == ("detach", "name")


def test_h_of_run_is_the_hostname() -> None:
    parsed = invocation("run", "-h", "box", "busybox")
    assert getattr(parsed.options, "hostname", "") == "box"


@pytest.mark.parametrize("path", ["container ls", "container list", "container ps"])
def test_every_spelling_of_ps_is_ps(path: str) -> None:
    assert invocation(*path.split(), "-aq").function is invocation("ps").function


@pytest.mark.parametrize(
    ("argv", "namespace"),
    [
        (["-n", "k8s.io", "ps"], "k8s.io"),
        (["--namespace=k8s.io", "ps"], "k8s.io"),
        (["ps", "--namespace", "k8s.io"], "k8s.io"),
        (["container", "--namespace", "k8s.io", "ls"], "k8s.io"),
        (["-n", "first", "ps", "--namespace", "last"], "last"),
        (["ps", "-n", "3"], None),
    ],
)
def test_global_flags_stand_before_or_after_the_command(argv: list[str], namespace: str | None) -> None:
    assert invocation(*argv).globals.namespace == namespace


def test_a_flag_of_the_command_wins_over_a_global_one_of_its_name() -> None:
    parsed = invocation("images", "-a")
    assert parsed.globals.address is None


def test_an_unknown_command_is_answered_with_suggestions() -> None:
    with pytest.raises(UsageError) as caught:
        parse_command_line(["rnu"])
    assert str(caught.value) == "'rnu' is not a pyctl command."
    assert caught.value.command == "pyctl"
    assert caught.value.hint == "\nDid you mean this?\n\trun"
    assert caught.value.exit_code == 1


def test_an_unknown_command_of_a_group_names_both_words() -> None:
    with pytest.raises(UsageError) as caught:
        parse_command_line(["volume", "crate"])
    assert str(caught.value) == "'volume crate' is not a pyctl command."
    assert caught.value.hint == "\nDid you mean this?\n\tvolume create"


@pytest.mark.parametrize(
    ("argv", "first_line"),
    [
        (["rm"], '"pyctl rm" requires at least 1 argument.'),
        (["exec", "web"], '"pyctl exec" requires at least 2 arguments.'),
        (["tag", "a"], '"pyctl tag" requires exactly 2 arguments.'),
        (["ps", "x"], '"pyctl ps" accepts no arguments.'),
        (["images", "a", "b"], '"pyctl images" requires at most 1 argument.'),
        (["port"], '"pyctl port" requires at least 1 and at most 2 arguments.'),
        (["container", "rm"], '"pyctl container rm" requires at least 1 argument.'),
        (["container", "list", "x"], '"pyctl container ls" accepts no arguments.'),
    ],
)
def test_a_wrong_number_of_arguments_is_said_in_dockers_words(argv: list[str], first_line: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command_line(argv)
    assert str(caught.value).splitlines()[0] == first_line
    assert caught.value.exit_code == 1


def test_a_wrong_flag_of_a_command_names_the_command() -> None:
    with pytest.raises(UsageError) as caught:
        parse_command_line(["ps", "--nope"])
    assert (caught.value.command, caught.value.exit_code) == ("pyctl ps", 125)


def test_a_global_flag_that_is_not_done_yet_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="--tlsverify is not supported yet"):
        parse_command_line(["--tlsverify", "ps"])


def test_help_is_docker_s_plain_layout() -> None:
    assert answer("rm", "--help") == (
        "\n"
        "Usage:  pyctl rm [OPTIONS] CONTAINER [CONTAINER...]\n"
        "\n"
        "Remove one or more containers\n"
        "\n"
        "Aliases:\n"
        "  pyctl container remove, pyctl container rm, pyctl remove, pyctl rm\n"
        "\n"
        "Options:\n"
        "  -f, --force     Force the removal of a running container (uses SIGKILL)\n"
        "  -v, --volumes   Remove anonymous volumes associated with the container\n"
    )


@pytest.mark.parametrize("argv", [["rm", "-h"], ["help", "rm"], ["--help", "rm"], ["rm", "x", "--help"]])
def test_help_can_be_asked_for_in_every_way(argv: list[str]) -> None:
    assert answer(*argv) == answer("rm", "--help")


@pytest.mark.parametrize("argv", [["container"], ["container", "--help"], ["help", "container"]])
def test_a_group_without_a_command_prints_its_help(argv: list[str]) -> None:
    text = answer(*argv)
    assert "Usage:  pyctl container COMMAND" in text
    assert "  ls          List containers" in text


def test_top_level_help_lists_every_command_once() -> None:
    text = answer()
    assert text == answer("--help") == answer("help")
    for name in [*table.children(""), *table.GROUPS]:
        assert text.count(f"\n  {name} ") == 1


def test_the_version_is_one_line() -> None:
    assert answer("--version").startswith("pyctl version ")
    assert answer("-v") == answer("--version")


def test_every_command_of_the_table_loads_and_its_signature_can_be_read() -> None:
    from importlib import import_module

    for path in [*table.COMMANDS, *table.HIDDEN, *table.SAME, *table.SPELLINGS]:
        entry = table.find(path)
        assert entry is not None, path
        module, _, attribute = entry[0].partition(":")
        function = getattr(import_module(module), attribute)
        signature = Signature(function)
        has_options = signature.options is not None and any(flag.is_supported for flag in signature.options.flags)
        assert entry[1].startswith("[OPTIONS]") == has_options or path in table.HIDDEN, path


def test_no_two_flags_of_a_command_share_a_spelling() -> None:
    from importlib import import_module

    for path in table.COMMANDS:
        entry = table.find(path)
        assert entry is not None
        module, _, attribute = entry[0].partition(":")
        options = Signature(getattr(import_module(module), attribute)).options
        names = [name for flag in (options.flags if options else ()) for name in flag.names]
        assert len(names) == len(set(names)), path
