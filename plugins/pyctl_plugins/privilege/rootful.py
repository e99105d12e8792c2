"""Running as root: the machine's own directories, shared with nerdctl."""

from __future__ import annotations

import os

from pyctl_hookspecs.markers import hookimpl
from pyctl_hookspecs.privilege import Layout

_CNI_PATHS = (
    "/opt/cni/bin",
    "/usr/local/libexec/cni",
    "/usr/local/lib/cni",
    "/home/linuxbrew/.linuxbrew/opt/cni-plugins/bin",
    "/usr/libexec/cni",
    "/usr/lib/cni",
)


@hookimpl
def layout() -> Layout:
    return Layout(
        mode="rootful",
        data_root="/var/lib/nerdctl",
        runtime_dir="/run/pyctl",
        config_paths=("/etc/pyctl/pyctl.toml", "/etc/nerdctl/nerdctl.toml"),
        netconf_path="/etc/cni/net.d",
        cni_paths=_CNI_PATHS,
        hosts_dirs=("/etc/containerd/certs.d", "/etc/docker/certs.d"),
        default_address="/run/containerd/containerd.sock",
        cgroup_manager=_cgroup_manager(),
    )


def _cgroup_manager() -> str:
    """systemd on cgroup v2 where systemd is the init, as nerdctl; else the files themselves."""
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    return "systemd" if unified and os.path.isdir("/run/systemd/system") else "cgroupfs"
