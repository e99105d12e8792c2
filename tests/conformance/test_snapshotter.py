"""The built-in snapshotter plug-ins sit the examination any other does."""

from __future__ import annotations

import pytest

from pyctl_hookspecs.testing.snapshotter import SnapshotterSuite
from pyctl_plugins.snapshotter import native, overlayfs, passthrough


class TestOverlayfs(SnapshotterSuite):
    snapshotter = "overlayfs"

    @pytest.fixture
    def plugin(self) -> object:
        return overlayfs


class TestNative(SnapshotterSuite):
    snapshotter = "native"

    @pytest.fixture
    def plugin(self) -> object:
        return native


class TestPassthrough(SnapshotterSuite):
    snapshotter = "zfs"

    @pytest.fixture
    def plugin(self) -> object:
        return passthrough
