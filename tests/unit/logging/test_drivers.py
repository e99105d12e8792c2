"""What the built-in log drivers accept, and that they keep the contract of their kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyctl_hookspecs import InvalidArgumentError, LogRequest, LogRoute
from pyctl_hookspecs.testing.logging import LogDriverSuite
from pyctl_plugins.logging import json_file, none


class TestJsonFile(LogDriverSuite):
    driver = "json-file"
    options = (("max-size", "10m"), ("max-file", "3"))

    @pytest.fixture
    def plugin(self) -> object:
        return json_file

    def write(self, request: LogRequest, route: LogRoute, lines: tuple[str, ...]) -> None:
        with open(route.log_path, "w") as file:
            for number, line in enumerate(lines):
                file.write(json.dumps({"log": line, "stream": "stdout", "time": f"2026-01-01T00:00:0{number}Z"}) + "\n")


class TestNone(LogDriverSuite):
    driver = "none"
    can_read = False

    @pytest.fixture
    def plugin(self) -> object:
        return none


def request(*options: tuple[str, str]) -> LogRequest:
    return LogRequest(container_id="c1", state_dir="/state/c1", driver="json-file", options=options)


def test_an_unknown_option_is_refused_in_dockers_words() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^unknown log opt 'colour' for json-file log driver$"):
        json_file.plan_logging(request=request(("colour", "red")))


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("-1", 0), ("10m", 10_000_000), ("64kb", 64_000), ("1.5G", 1_500_000_000), ("512", 512)]
)
def test_max_size_is_a_decimal_size(text: str, size_bytes: int) -> None:
    assert json_file.route_logs(request=request(("max-size", text))).max_size_bytes == size_bytes


@pytest.mark.parametrize(
    "option",
    [
        ("max-size", "0"),
        ("max-size", "ten"),
        ("max-size", "1.2.3m"),
        ("max-size", ""),
        ("max-file", "0"),
        ("max-file", "-1"),
        ("log-path", "x"),
    ],
)
def test_a_malformed_value_is_refused(option: tuple[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match=option[0]):
        json_file.plan_logging(request=request(option))


def test_the_log_lies_where_nerdctl_looks_for_it_unless_told_otherwise() -> None:
    assert json_file.route_logs(request=request()).log_path == "/state/c1/c1-json.log"
    assert json_file.route_logs(request=request(("log-path", "/var/log/x"))).log_path == "/var/log/x"


def test_reading_without_a_log_is_refused_in_dockers_words(tmp_path: Path) -> None:
    from pyctl_hookspecs import UnsupportedError

    with pytest.raises(UnsupportedError, match=r"^configured logging driver does not support reading$"):
        none.read_logs(request=LogRequest(container_id="c1", state_dir=str(tmp_path), driver="none"))
