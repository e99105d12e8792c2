"""Devices and their cgroup rules."""

from __future__ import annotations

import pytest

from pyctl.spec.devices import default_rules, host_devices, parse_device, requested
from pyctl_hookspecs import InvalidArgumentError


def test_a_device_keeps_its_number_under_another_name() -> None:
    nodes, rules = requested(("/dev/null:/dev/other:r",), ())
    assert [(node["path"], node["type"], node["major"], node["minor"]) for node in nodes] == [("/dev/other", "c", 1, 3)]
    assert rules == [{"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/x", ("/dev/x", "/dev/x", "rwm")),
        ("/dev/x:r", ("/dev/x", "/dev/x", "r")),
        ("/dev/x:/dev/y", ("/dev/x", "/dev/y", "rwm")),
        ("/dev/x:/dev/y:mw", ("/dev/x", "/dev/y", "mw")),
    ],
)
def test_device_flags_are_read_as_docker_reads_them(text: str, expected: tuple[str, str, str]) -> None:
    assert parse_device(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dev/x", "dev/x is not an absolute path"),
        ("/dev/x:/dev/y:q", "bad mode specified: q"),
        ("/dev/x:/y:r:w", "bad format for path: /dev/x:/y:r:w"),
        ("", "bad format for path: "),
    ],
)
def test_a_malformed_device_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_device(text)
    assert str(raised.value) == f'invalid argument "{text}" for "--device" flag: {why}'


def test_a_missing_device_and_a_plain_file_are_named() -> None:
    with pytest.raises(InvalidArgumentError, match='custom device "/dev/none": no such file or directory'):
        requested(("/dev/none",), ())
    with pytest.raises(InvalidArgumentError, match='custom device "/etc/passwd": not a device node'):
        requested(("/etc/passwd",), ())


def test_cgroup_rules_are_passed_on() -> None:
    assert requested((), ("c 1:* rw", "a *:* rwm"))[1] == [
        {"allow": True, "type": "c", "access": "rw", "major": 1},
        {"allow": True, "type": "a", "access": "rwm"},
    ]
    with pytest.raises(InvalidArgumentError, match="invalid device cgroup format 'x 1:1 r'"):
        requested((), ("x 1:1 r",))


def test_privileged_containers_get_the_machine_s_devices_but_not_its_terminals() -> None:
    paths = {node["path"] for node in host_devices()}
    assert "/dev/null" in paths
    assert not {path for path in paths if path.startswith(("/dev/pts/", "/dev/shm/"))}


def test_by_default_everything_is_denied_first() -> None:
    assert default_rules()[0] == {"allow": False, "access": "rwm"}
