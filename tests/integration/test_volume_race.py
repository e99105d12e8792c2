"""A volume that is removed again and again while a container is made that wants it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from pyctl.state.volumes import VolumeStore

if TYPE_CHECKING:
    from tests.integration.conftest import Pyctl
    from tests.integration.engines import Engine

pytestmark = pytest.mark.integration


def test_a_volume_does_not_vanish_under_a_container_that_is_being_made(
    pyctl: Pyctl, engine: Engine, busybox: str, name: str
) -> None:
    pyctl("volume", "create", "wanted")
    (data_store,) = (entry for entry in os.listdir(engine.data_root) if re.fullmatch("[0-9a-f]{8}", entry))
    store = VolumeStore(f"{engine.data_root}/{data_store}", engine.namespace)

    def is_used(_name: str) -> bool:
        return engine.ctr("containers", "ls", "-q").strip() != ""

    for _ in range(4):
        running = pyctl.popen("run", "-d", "--network", "none", "--name", name, "-v", "wanted:/data", busybox, "sleep", "600")
        while running.poll() is None:
            store.remove_unless("wanted", is_used)
        assert running.returncode == 0
        assert [volume.name for volume in store.list()] == ["wanted"]
        pyctl("exec", name, "touch", "/data/here")
        assert os.path.exists(f"{store.get('wanted').mountpoint}/here")
        assert "volume is in use" in pyctl("volume", "rm", "wanted", ok=False).stderr
        pyctl("rm", "-f", name)
    pyctl("volume", "rm", "wanted")
