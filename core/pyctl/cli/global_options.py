"""The flags that may stand before any command."""

from __future__ import annotations

from pyctl.cli.options import Options, flag


class GlobalOptions(Options):
    """Flags of ``pyctl`` itself. None and empty tuples mean: ask the environment, the file, the default."""

    debug: bool | None = flag("-D", "--debug", default=None, kind="bool", help="Enable debug mode")
    debug_full: bool | None = flag(
        "--debug-full", default=None, kind="bool", help="Debug mode that may show secrets in its output"
    )
    address: str | None = flag(
        "-H", "--address", "-a", "--host", default=None, kind="string", help="containerd socket, unix:// prefix optional"
    )
    namespace: str | None = flag("-n", "--namespace", default=None, kind="string", help="containerd namespace")
    snapshotter: str | None = flag(
        "--snapshotter", "--storage-driver", default=None, kind="string", help="containerd snapshotter"
    )
    cni_path: str | None = flag("--cni-path", default=None, kind="string", help="Directory of CNI plug-in binaries")
    cni_netconfpath: str | None = flag(
        "--cni-netconfpath", default=None, kind="string", help="Directory of CNI network configurations"
    )
    data_root: str | None = flag("--data-root", default=None, kind="string", help="Root directory of persistent state")
    cgroup_manager: str | None = flag(
        "--cgroup-manager",
        default=None,
        kind="string",
        choices=("systemd", "cgroupfs", "none"),
        help='Cgroup driver ("systemd"|"cgroupfs"|"none")',
    )
    insecure_registry: bool | None = flag(
        "--insecure-registry", default=None, kind="bool", help="Skip TLS verification, fall back to plain HTTP"
    )
    hosts_dir: tuple[str, ...] = flag("--hosts-dir", default=(), kind="csv", help="Directories that hold HOST[:PORT]/hosts.toml")
    experimental: bool | None = flag("--experimental", default=None, kind="bool", help="Allow experimental features")
    host_gateway_ip: str | None = flag(
        "--host-gateway-ip", default=None, kind="string", help="Address that host-gateway stands for in --add-host"
    )
    bridge_ip: str | None = flag(
        "--bridge-ip", default=None, kind="string", help="CIDR of the default bridge, such as 10.1.100.1/24"
    )
    cdi_spec_dirs: tuple[str, ...] = flag("--cdi-spec-dirs", default=(), kind="csv", help="Directories of CDI specifications")
    kube_hide_dupe: bool = flag("--kube-hide-dupe", help="Hide duplicate image names in namespace k8s.io", is_supported=False)
    selinux_enabled: bool = flag("--selinux-enabled", help="Enable SELinux labelling", is_supported=False)
    userns_remap: str = flag("--userns-remap", default="", help="User whose subordinate IDs containers get", is_supported=False)
    global_dns: tuple[str, ...] = flag("--global-dns", default=(), kind="csv", help="Default DNS servers", is_hidden=True)
    global_dns_opts: tuple[str, ...] = flag(
        "--global-dns-opts", default=(), kind="csv", help="Default resolv.conf options", is_hidden=True
    )
    global_dns_search: tuple[str, ...] = flag(
        "--global-dns-search", default=(), kind="csv", help="Default DNS search domains", is_hidden=True
    )
    config: str | None = flag("--config", default=None, kind="string", help="Location of Docker's client configuration files")
    errors: str | None = flag(
        "--errors", default=None, kind="string", choices=("text", "json"), help='How errors are printed ("text"|"json")'
    )
    context: str = flag("-c", "--context", default="default", help="Name of the context", is_supported=False)
    log_level: str = flag("-l", "--log-level", default="info", help="Logging level", is_supported=False)
    tls: bool = flag("--tls", help="Use TLS", is_supported=False)
    tlscacert: str = flag("--tlscacert", default="", help="Trust certificates signed only by this CA", is_supported=False)
    tlscert: str = flag("--tlscert", default="", help="Path to TLS certificate file", is_supported=False)
    tlskey: str = flag("--tlskey", default="", help="Path to TLS key file", is_supported=False)
    tlsverify: bool = flag("--tlsverify", help="Use TLS and verify the remote", is_supported=False)
    version: bool = flag("-v", "--version", help="Print version information and quit")
