"""What the flags before the command, the environment and the configuration file say, decided once per process."""

from __future__ import annotations

from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.privilege import Layout


class Settings(Record):
    """Everything an operation may want to know about where it runs. All paths are absolute.

    ``is_address_explicit`` says that somebody named the daemon: then no other one is ever used instead.
    ``network_engine`` is ``auto`` (well-known chains run in process) or ``cni`` (every chain with the real binaries);
    ``network_dns`` is ``hosts`` (names by hosts files) or ``resolver`` (a name server per network, in the keeper).
    ``plugin_choices`` maps ``kind.name`` to a distribution. ``config_path`` is the file that was read, empty for none.
    """

    mode: str
    address: str
    is_address_explicit: bool = False
    namespace: str = "default"
    data_root: str
    runtime_dir: str
    snapshotter: str = "overlayfs"
    cni_paths: tuple[str, ...] = ()
    cni_netconfpath: str
    cgroup_manager: str
    hosts_dirs: tuple[str, ...] = ()
    docker_config_dir: str = ""
    insecure_registry: bool = False
    image_provider: str = "registry"
    parallel_layers: int = 3
    network_engine: str = "auto"
    network_dns: str = "hosts"
    experimental: bool = True
    bridge_ip: str = ""
    host_gateway_ip: str = ""
    dns: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    cdi_spec_dirs: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")
    plugin_choices: tuple[tuple[str, str], ...] = ()
    plugins_disabled: tuple[str, ...] = ()
    plugins_off: bool = False
    debug: bool = False
    debug_full: bool = False
    errors_format: str = "text"
    config_path: str = ""


def find_layout(*, plugins_off: bool = False) -> Layout:
    """Directories and defaults for this user, from the ``privilege`` plug-in that fits the effective user.

    Asked before the configuration is read, because it says where that is, and by every command: so our own plug-in, which
    the conformance suite examines, is called directly. Anybody else's goes through pluggy and its validation (28 ms).

    Raises:
        NotFoundError: nobody is installed for this way of running.
    """
    import os

    from pyctl.providers.registry import Registry, load
    from pyctl.providers.scan import installed

    name = "rootful" if os.geteuid() == 0 else "rootless"
    registry = Registry(installed, chosen={}, builtins_only=plugins_off)
    claim = registry.select("privilege", name)
    if claim.is_builtin:
        found: Layout = load(claim).layout()
        return found
    from pyctl.providers.hooks import Hooks

    return Hooks(registry).layout(name)
