"""What our engine is told, and how its version is recognised."""

from __future__ import annotations

import tomllib

import pytest

from pyctl.engine.config import major_version, render
from pyctl.engine.places import Places
from pyctl_hookspecs import UnsupportedError

PLACES = Places(home="/data/engine", runtime="/run/pyctl/engine/0011aabb")


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", 1),
        ("containerd containerd.io 1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da", 1),
        ("containerd github.com/containerd/containerd/v2 v2.1.9 fb4c30d4ede3", 2),
        ("containerd github.com/containerd/containerd/v2 v2.3.0-rc.1 abc", 2),
    ],
)
def test_the_major_version_is_read_from_what_containerd_prints(text: str, major: int) -> None:
    assert major_version(text) == major


@pytest.mark.parametrize("text", ["", "containerd unknown", "containerd x 1.5.9 y"])
def test_an_unknown_or_old_version_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedError):
        major_version(text)


@pytest.mark.parametrize(("major", "version"), [(1, 2), (2, 3)])
def test_the_configuration_keeps_everything_below_our_own_directories(major: int, version: int) -> None:
    config = tomllib.loads(render(PLACES, major))

    assert config["version"] == version
    assert config["root"] == "/data/engine/root"
    assert config["state"] == "/run/pyctl/engine/0011aabb/state"
    assert config["grpc"]["address"] == "/run/pyctl/engine/0011aabb/containerd.sock"
    assert config["plugins"]["io.containerd.internal.v1.opt"]["path"] == "/data/engine/opt"


def test_a_path_with_quotes_survives_the_configuration() -> None:
    odd = Places(home='/da"ta\\engine', runtime="/run/x")

    assert tomllib.loads(render(odd, 2))["root"] == '/da"ta\\engine/root'
