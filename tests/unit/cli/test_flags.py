"""Docker's flag grammar."""

from __future__ import annotations

import pytest

from pyctl.cli.flags import Flag, UsageError, flag_table, parse, values_of
from pyctl.cli.options import Options, flag
from pyctl_hookspecs.errors import UnsupportedError


class Sample(Options):
    detach: bool = flag("-d", "--detach")
    interactive: bool = flag("-i", "--interactive")
    tty: bool = flag("-t", "--tty")
    publish: tuple[str, ...] = flag("-p", "--publish", default=(), kind="csv")
    env: tuple[str, ...] = flag("-e", "--env", default=())
    last: int = flag("-n", "--last", default=-1)
    stop_timeout: int | None = flag("--stop-timeout", default=None, kind="int")
    shares: int = flag("--shares", default=0, kind="uint")
    factor: float = flag("--factor", default=0.0)
    interval: str = flag("--interval", default="", kind="duration")
    pull: str = flag("--pull", default="missing", choices=("always", "missing", "never"))
    dry_run: str = flag("--dry-run", default="", implied="text", choices=("text", "json"))
    network: tuple[str, ...] = flag("--network", "--net", default=(), kind="csv")
    tls: bool = flag("--tls", is_supported=False)


def read(*argv: str, interspersed: bool = True) -> tuple[dict[str, object], list[str]]:
    given, positionals = parse(argv, flag_table(Sample.flags), interspersed=interspersed)
    return values_of(given), positionals


@pytest.mark.parametrize(
    ("argv", "values"),
    [
        (["-dit"], {"detach": True, "interactive": True, "tty": True}),
        (["-d=true", "-t=false"], {"detach": True, "tty": False}),
        (["--tty=0", "--detach=T"], {"tty": False, "detach": True}),
        (["-p80:80", "-p=81:81", "-p", "82:82"], {"publish": ("80:80", "81:81", "82:82")}),
        (["-dp", "80:80"], {"detach": True, "publish": ("80:80",)}),
        (["--publish=1,2", "--publish", "3"], {"publish": ("1", "2", "3")}),
        (["-e", "A=1,B=2", "-e=C=3"], {"env": ("A=1,B=2", "C=3")}),
        (["--env", "--detach"], {"env": ("--detach",)}),
        (["-n", "-5"], {"last": -5}),
        (["-n5"], {"last": 5}),
        (["--last=0x10"], {"last": 16}),
        (["--last=010"], {"last": 8}),
        (["--stop-timeout", "0"], {"stop_timeout": 0}),
        (["--factor", "1.5"], {"factor": 1.5}),
        (["--interval", "1m30s"], {"interval": "1m30s"}),
        (["--net", "a", "--network=b"], {"network": ("a", "b")}),
        (["--publish", '"a,b",c'], {"publish": ("a,b", "c")}),
        (["--publish="], {"publish": ()}),
        (["--dry-run"], {"dry_run": "text"}),
        (["--dry-run=json"], {"dry_run": "json"}),
        (["--tls=false"], {"tls": False}),
    ],
)
def test_every_spelling_docker_accepts_is_read(argv: list[str], values: dict[str, object]) -> None:
    assert read(*argv) == (values, [])


def test_flags_may_follow_positionals() -> None:
    assert read("web", "-d") == ({"detach": True}, ["web"])


def test_flags_end_at_the_first_positional_where_the_command_says_so() -> None:
    assert read("-i", "image", "-d", interspersed=False) == ({"interactive": True}, ["image", "-d"])


def test_two_dashes_end_the_flags() -> None:
    assert read("-d", "--", "-i", "--x") == ({"detach": True}, ["-i", "--x"])


def test_a_single_dash_is_a_positional() -> None:
    assert read("-") == ({}, ["-"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-dxi"], "unknown shorthand flag: 'x' in -xi"),
        (["--env"], "flag needs an argument: --env"),
        (["-de"], "flag needs an argument: 'e' in -e"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (["-d=maybe"], 'invalid argument "maybe" for "-d, --detach" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
        (
            ["--stop-timeout", "x"],
            'invalid argument "x" for "--stop-timeout" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (["-n", ""], 'invalid argument "" for "-n, --last" flag: strconv.ParseInt: parsing "": invalid syntax'),
        (["-n", "08"], 'invalid argument "08" for "-n, --last" flag: strconv.ParseInt: parsing "08": invalid syntax'),
        (
            ["-n", "9223372036854775808"],
            'invalid argument "9223372036854775808" for "-n, --last" flag: '
            'strconv.ParseInt: parsing "9223372036854775808": value out of range',
        ),
        (["--shares", "-1"], 'invalid argument "-1" for "--shares" flag: strconv.ParseUint: parsing "-1": invalid syntax'),
        (["--factor", "x"], 'invalid argument "x" for "--factor" flag: strconv.ParseFloat: parsing "x": invalid syntax'),
        (["--interval", "5"], 'invalid argument "5" for "--interval" flag: time: missing unit in duration "5"'),
        (["--interval", "x"], 'invalid argument "x" for "--interval" flag: time: invalid duration "x"'),
        (["--interval", "1y"], 'invalid argument "1y" for "--interval" flag: time: unknown unit "y" in duration "1y"'),
        (["--pull", "x"], 'invalid argument "x" for "--pull" flag: must be one of "always", "missing" or "never"'),
    ],
)
def test_what_is_wrong_is_said_in_dockers_words(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(*argv)
    assert str(caught.value) == message
    assert caught.value.exit_code == 125


def test_an_unknown_flag_suggests_a_near_one() -> None:
    with pytest.raises(UsageError) as caught:
        read("--detahc")
    assert caught.value.hint == "Did you mean --detach?"


def test_a_flag_that_is_not_done_yet_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="--tls is not supported yet"):
        read("--tls")


def test_options_know_what_was_given() -> None:
    values, _ = read("-n", "-1", "-d")
    options = Sample(**values, given=tuple(values))
    assert options.given == ("last", "detach")
    assert (options.last, options.detach, options.tty, options.pull) == (-1, True, False, "missing")


def test_a_flag_knows_its_names() -> None:
    one = Flag(("-t", "--time", "--timeout"), kind="int", default=None)
    assert (one.short, one.long, one.title) == ("-t", "--time", "-t, --time")
