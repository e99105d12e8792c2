"""The example sits the same examination as every built-in network (as root: it makes network namespaces)."""

from __future__ import annotations

import pyctl_network_cable
import pytest

from pyctl_hookspecs.testing.network import NetworkDriverSuite


@pytest.mark.integration
class TestCable(NetworkDriverSuite):
    mode = "bridge"
    publishes_ports = False

    @pytest.fixture
    def plugin(self) -> object:
        return pyctl_network_cable
