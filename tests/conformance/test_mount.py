"""The built-in mount plug-ins sit the examination any other does."""

from __future__ import annotations

import os

import pytest

from pyctl_hookspecs import MountRequest
from pyctl_hookspecs.testing.mount import MountSuite
from pyctl_plugins.mount import bind, tmpfs, volume


class TestBind(MountSuite):
    type = "bind"

    @pytest.fixture
    def plugin(self) -> object:
        return bind

    def good(self, root: str) -> MountRequest:
        source = os.path.join(root, "source")
        os.makedirs(source, exist_ok=True)
        return MountRequest(container_id="c", argument=f"-v {source}:/data", type="bind", source=source, target="/data")

    def bad(self, root: str) -> MountRequest:
        source = os.path.join(root, "missing")
        return MountRequest(
            container_id="c", argument=f"--mount type=bind,src={source},dst=/x", type="bind", source=source, target="/x"
        )


class TestTmpfs(MountSuite):
    type = "tmpfs"

    @pytest.fixture
    def plugin(self) -> object:
        return tmpfs

    def good(self, root: str) -> MountRequest:
        return MountRequest(
            container_id="c", argument="--tmpfs /t:size=1m", type="tmpfs", source="", target="/t", options=("size=1m",)
        )

    def bad(self, root: str) -> MountRequest:
        return MountRequest(container_id="c", argument="--tmpfs /t:loud", type="tmpfs", source="", target="/t", options=("loud",))


class TestNamedVolume(MountSuite):
    type = "volume"

    @pytest.fixture
    def plugin(self) -> object:
        return volume

    def good(self, root: str) -> MountRequest:
        return MountRequest(
            container_id="c", argument="-v data:/data", type="volume", source="data", target="/data", volume_name="data"
        )


class TestAnonymousVolume(TestNamedVolume):
    def good(self, root: str) -> MountRequest:
        return MountRequest(
            container_id="c", argument="-v /d", type="volume", source="", target="/d", volume_name="f" * 64, is_anonymous=True
        )
