"""Kind ``privilege``: rootful or rootless, and everything that follows from it."""

from __future__ import annotations

from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.records import Record


class Layout(Record):
    """Where things are for this user. All paths are absolute.

    ``config_paths`` in the order they are tried. ``runtime_dir`` is emptied by a reboot; network namespaces
    are pinned below it. ``cgroup_manager`` is systemd, cgroupfs or none.
    """

    mode: str
    data_root: str
    runtime_dir: str
    config_paths: tuple[str, ...]
    netconf_path: str
    cni_paths: tuple[str, ...]
    hosts_dirs: tuple[str, ...]
    default_address: str
    cgroup_manager: str


class PrivilegeSpecs:
    """One provider per way of running: ``rootful`` (and later ``rootless``), chosen by the effective user."""

    @hookspec
    def layout(self) -> Layout:
        """Directories and defaults for this way of running. Changes nothing."""
