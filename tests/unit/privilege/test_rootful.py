"""Directories and defaults of root."""

from __future__ import annotations

import os

import pytest

from pyctl_hookspecs.privilege import PrivilegeSpecs
from pyctl_hookspecs.testing.calling import hooks_of
from pyctl_plugins.privilege import rootful


def test_root_shares_nerdctl_s_directories() -> None:
    layout = hooks_of(rootful, PrivilegeSpecs).layout()
    assert layout.mode == "rootful" and layout.data_root == "/var/lib/nerdctl"
    assert layout.config_paths == ("/etc/pyctl/pyctl.toml", "/etc/nerdctl/nerdctl.toml")
    assert layout.default_address == "/run/containerd/containerd.sock"
    every = (
        layout.data_root,
        layout.runtime_dir,
        layout.netconf_path,
        *layout.config_paths,
        *layout.cni_paths,
        *layout.hosts_dirs,
    )
    assert all(path.startswith("/") for path in every)


@pytest.mark.parametrize(
    ("unified", "systemd", "manager"), [(True, True, "systemd"), (True, False, "cgroupfs"), (False, True, "cgroupfs")]
)
def test_systemd_manages_groups_only_where_it_owns_them(
    monkeypatch: pytest.MonkeyPatch, unified: bool, systemd: bool, manager: str
) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: unified and path == "/sys/fs/cgroup/cgroup.controllers")
    monkeypatch.setattr(os.path, "isdir", lambda path: systemd and path == "/run/systemd/system")
    assert rootful.layout().cgroup_manager == manager
