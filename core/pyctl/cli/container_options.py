"""The flags of ``run`` and ``create``, and their way into ``ContainerOptions``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.spec.options import ContainerOptions


class CreateOptions(Options):
    """Fields carry the names and defaults of ``ContainerOptions``, which says what "not given" is."""

    interspersed = False

    add_host: tuple[str, ...] = flag(
        "--add-host", default=(), kind="csv", help="Extra /etc/hosts entry HOST:IP; IP may be host-gateway"
    )
    annotation: tuple[str, ...] = flag("--annotation", default=(), help="OCI annotation KEY=VALUE handed to the runtime")
    blkio_weight: int = flag("--blkio-weight", default=0, kind="uint", help="Relative block I/O weight 10-1000; 0 turns off")
    blkio_weight_device: tuple[str, ...] = flag(
        "--blkio-weight-device", default=(), help="Per-device block weight, /dev/X:WEIGHT"
    )
    cap_add: tuple[str, ...] = flag("--cap-add", default=(), kind="csv", help="Add capability, or ALL")
    cap_drop: tuple[str, ...] = flag("--cap-drop", default=(), kind="csv", help="Remove capability, or ALL")
    cgroup_conf: tuple[str, ...] = flag("--cgroup-conf", default=(), kind="csv", help="Raw cgroup v2 setting FILE=VALUE")
    cgroup_parent: str = flag("--cgroup-parent", default="", help="Parent cgroup path, or xxx.slice for systemd")
    cgroupns: str = flag("--cgroupns", default="", help="Cgroup namespace mode")
    cidfile: str = flag("--cidfile", default="", help="Write container ID here; must not exist beforehand")
    cosign_certificate_identity: str = flag(
        "--cosign-certificate-identity", default="", help="Exact Fulcio identity expected (keyless verify)"
    )
    cosign_certificate_identity_regexp: str = flag(
        "--cosign-certificate-identity-regexp", default="", help="Regexp for the Fulcio identity (keyless verify)"
    )
    cosign_certificate_oidc_issuer: str = flag(
        "--cosign-certificate-oidc-issuer", default="", help="Exact OIDC issuer expected (keyless verify)"
    )
    cosign_certificate_oidc_issuer_regexp: str = flag(
        "--cosign-certificate-oidc-issuer-regexp", default="", help="Regexp for the OIDC issuer (keyless verify)"
    )
    cosign_key: str = flag("--cosign-key", default="", help="Public key file, KMS URI or k8s secret")
    cpu_count: int = flag("--cpu-count", default=0, help="CPU count (Windows)")
    cpu_percent: int = flag("--cpu-percent", default=0, help="CPU percent (Windows)")
    cpu_period: int = flag("--cpu-period", default=0, kind="uint", help="CFS period in microseconds")
    cpu_quota: int = flag("--cpu-quota", default=0, help="CFS quota in microseconds; -1 unset")
    cpu_rt_period: int = flag("--cpu-rt-period", default=0, kind="uint", help="Realtime period in microseconds (cgroup v1 only)")
    cpu_rt_runtime: int = flag(
        "--cpu-rt-runtime", default=0, kind="uint", help="Realtime budget in microseconds (cgroup v1 only)"
    )
    cpu_shares: int = flag("--cpu-shares", default=0, kind="uint", help="Relative CPU weight")
    cpus: str = flag("--cpus", default="", metavar="decimal", help="CPU count limit, may be fractional")
    cpuset_cpus: str = flag("--cpuset-cpus", default="", help="CPU list allowed, e.g. 0-3,5")
    cpuset_mems: str = flag("--cpuset-mems", default="", help="NUMA memory nodes allowed")
    detach_keys: str = flag("--detach-keys", default="", help="Key sequence that detaches the client")
    device: tuple[str, ...] = flag("--device", default=(), kind="csv", help="Host device PATH[:CPATH][:rwm], or CDI name")
    device_cgroup_rule: tuple[str, ...] = flag("--device-cgroup-rule", default=(), help='Cgroup device rule "TYPE MAJ:MIN PERM"')
    device_read_bps: tuple[str, ...] = flag("--device-read-bps", default=(), help="Read byte rate cap /dev/X:RATE")
    device_read_iops: tuple[str, ...] = flag("--device-read-iops", default=(), help="Read IOPS cap /dev/X:N")
    device_write_bps: tuple[str, ...] = flag("--device-write-bps", default=(), help="Write byte rate cap /dev/X:RATE")
    device_write_iops: tuple[str, ...] = flag("--device-write-iops", default=(), help="Write IOPS cap /dev/X:N")
    disable_content_trust: bool = flag("--disable-content-trust", default=True, help="Skip content-trust verification (obsolete)")
    dns: tuple[str, ...] = flag("--dns", default=(), kind="csv", help="Resolver IP for resolv.conf")
    dns_option: tuple[str, ...] = flag("--dns-option", "--dns-opt", default=(), kind="csv", help="Resolv.conf option")
    dns_search: tuple[str, ...] = flag("--dns-search", default=(), kind="csv", help="Resolv.conf search domain")
    domainname: str = flag("--domainname", default="", help="NIS domain name; also builds FQDN hosts entry")
    entrypoint: tuple[str, ...] | None = flag(
        "--entrypoint", default=None, kind="list", help="Replace image ENTRYPOINT (internally repeatable for compose)"
    )
    env: tuple[str, ...] = flag("-e", "--env", default=(), help="Environment KEY=VALUE, or KEY to copy from host")
    env_file: tuple[str, ...] = flag("--env-file", default=(), kind="csv", help="File with one KEY=VALUE per line")
    expose: tuple[str, ...] = flag("--expose", default=(), kind="csv", help="Declare port or range as exposed")
    gpus: tuple[str, ...] = flag("--gpus", default=(), help="GPU request: all, count or csv; resolved via CDI")
    group_add: tuple[str, ...] = flag("--group-add", default=(), kind="csv", help="Supplementary group for the process")
    health_cmd: str = flag("--health-cmd", default="", help="Shell command used as health probe")
    health_interval: str = flag(
        "--health-interval", default="", kind="duration", help="Pause between probes (0: image value, else 30s)"
    )
    health_retries: int = flag("--health-retries", default=0, help="Failures until unhealthy (0: image value, else 3)")
    health_start_interval: str = flag(
        "--health-start-interval", default="", kind="duration", help="Probe interval during the start period"
    )
    health_start_period: str = flag(
        "--health-start-period", default="", kind="duration", help="Grace time in which failures are ignored"
    )
    health_timeout: str = flag(
        "--health-timeout", default="", kind="duration", help="Max time per probe (0: image value, else 30s)"
    )
    hostname: str = flag("-h", "--hostname", default="", help="Hostname inside the container")
    init: bool = flag("--init", help="Run an init (tini) as PID 1")
    init_binary: str = flag("--init-binary", default="", help="Host binary used as init; implies --init")
    interactive: bool = flag("-i", "--interactive", help="Keep stdin open")
    io_maxbandwidth: str = flag("--io-maxbandwidth", default="", help="System drive bandwidth (Windows)")
    io_maxiops: int = flag("--io-maxiops", default=0, help="System drive IOPS (Windows)")
    ip: str = flag("--ip", default="", help="Static IPv4 address")
    ip6: str = flag("--ip6", default="", help="Static IPv6 address")
    ipc: str = flag("--ipc", default="", help="IPC namespace / shm mode")
    ipfs_address: str = flag("--ipfs-address", default="", help="IPFS API multiaddr (default from IPFS_PATH or ~/.ipfs)")
    isolation: str = flag("--isolation", default="", help="Isolation technology; only default on Linux")
    kernel_memory: str = flag("--kernel-memory", default="", metavar="bytes", help="Ignored, warns (obsolete)")
    label: tuple[str, ...] = flag("-l", "--label", default=(), help="Label KEY[=VALUE]")
    label_file: tuple[str, ...] = flag("--label-file", default=(), kind="csv", help="File with one label per line")
    link: tuple[str, ...] = flag("--link", default=(), help="Legacy link to another container")
    link_local_ip: tuple[str, ...] = flag("--link-local-ip", default=(), help="Link-local address for the container")
    log_driver: str = flag("--log-driver", default="", help="Logging driver name or binary:// style URI")
    log_opt: tuple[str, ...] = flag("--log-opt", default=(), help="Option KEY=VALUE for the log driver")
    mac_address: str = flag("--mac-address", default="", help="Fixed MAC (bridge and macvlan only)")
    memory: str = flag("-m", "--memory", default="", metavar="bytes", help="Hard memory limit")
    memory_reservation: str = flag("--memory-reservation", default="", metavar="bytes", help="Soft memory limit")
    memory_swap: str = flag(
        "--memory-swap", default="", metavar="bytes", help="Memory+swap limit; -1 unlimited, unset means 2x memory"
    )
    memory_swappiness: int = flag("--memory-swappiness", default=-1, help="Swappiness 0-100")
    mount: tuple[str, ...] = flag("--mount", default=(), help="Csv mount spec: type=bind|volume|tmpfs|image,...")
    name: str = flag("--name", default="", help="Container name")
    network: tuple[str, ...] = flag(
        "--network", "--net", default=(), help="Network name/ID, bridge, host, none, container:X, ns:PATH or name=NET,ip=..."
    )
    network_alias: tuple[str, ...] = flag("--network-alias", "--net-alias", default=(), help="Network-scoped alias")
    no_healthcheck: bool = flag("--no-healthcheck", help="Disable probe inherited from image")
    oom_kill_disable: bool = flag("--oom-kill-disable", help="Turn off the OOM killer")
    oom_score_adj: int = flag("--oom-score-adj", default=0, help="OOM score adjustment -1000..1000 (>=100 in userns)")
    pid: str = flag("--pid", default="", help="PID namespace: host or container:X")
    pidfile: str = flag("--pidfile", default="", help="Write task PID to this file (hook does it)")
    pids_limit: int = flag("--pids-limit", default=0, help="Max processes; -1 unlimited")
    platform: str = flag("--platform", default="", help="Platform OS/ARCH[/VARIANT]")
    privileged: bool = flag("--privileged", help="Extended privileges")
    publish: tuple[str, ...] = flag(
        "-p", "--publish", default=(), kind="list", help="Publish [IP:][HOSTPORT:]CPORT[/PROTO], ranges allowed"
    )
    publish_all: bool = flag("-P", "--publish-all", help="Publish all exposed ports to free host ports")
    pull: str = flag("--pull", default="missing", choices=("always", "missing", "never"), help="Image pull policy")
    quiet: bool = flag("-q", "--quiet", help="Silence the image pull")
    rdt_class: str = flag("--rdt-class", default="", help="Intel RDT class of service")
    read_only: bool = flag("--read-only", help="Root filesystem read-only")
    restart: str = flag("--restart", default="no", help="Restart policy; on-failure accepts :N")
    rm: bool = flag("--rm", help="Remove the container once it exits")
    rootfs: bool = flag("--rootfs", help="First argument is a root directory, not an image")
    runtime: str = flag("--runtime", default="", help="Containerd runtime name or runc-like binary")
    security_opt: tuple[str, ...] = flag(
        "--security-opt", default=(), help="Seccomp/apparmor/label/no-new-privileges/systempaths/... settings"
    )
    shm_size: str = flag("--shm-size", default="", metavar="bytes", help="Size of /dev/shm")
    sig_proxy: bool = flag("--sig-proxy", default=True, help="Forward received signals to the process")
    stop_signal: str = flag("--stop-signal", default="", help="Signal used by stop")
    stop_timeout: int | None = flag(
        "--stop-timeout", default=None, kind="int", help="Seconds before SIGKILL on stop; 0 means unset"
    )
    storage_opt: tuple[str, ...] = flag("--storage-opt", default=(), help="Storage driver option, e.g. size=")
    sysctl: tuple[str, ...] = flag("--sysctl", default=(), help="Namespaced sysctl KEY=VALUE")
    systemd: str = flag("--systemd", default="false", help="Systemd mode: false, true (init entrypoints), always")
    tmpfs: tuple[str, ...] = flag("--tmpfs", default=(), help="Tmpfs mount DEST[:opts]")
    tty: bool = flag("-t", "--tty", help="Allocate pseudo terminal")
    ulimit: tuple[str, ...] = flag("--ulimit", default=(), kind="csv", help="Ulimit NAME=SOFT[:HARD]")
    umask: str = flag("--umask", default="", help="Process umask (octal)")
    user: str = flag("-u", "--user", default="", help="USER|UID[:GROUP|GID]")
    userns: str = flag("--userns", default="", help="Host disables the configured userns-remap")
    uts: str = flag("--uts", default="", help="Host shares the UTS namespace")
    verify: str = flag("--verify", default="none", help="Verify signature: none, cosign, notation")
    volume: tuple[str, ...] = flag("-v", "--volume", default=(), help="Bind or volume SRC:DST[:opts]")
    volume_driver: str = flag("--volume-driver", default="", help="Volume plugin for named volumes")
    volumes_from: tuple[str, ...] = flag("--volumes-from", default=(), help="Reuse mounts of another container")
    workdir: str = flag("-w", "--workdir", default="", help="Working directory")
    dry_run: str = flag(
        "--dry-run", default="", implied="text", choices=("text", "json"), help="Print the plan and do nothing (text, json)"
    )


class RunOptions(CreateOptions):
    attach: tuple[str, ...] = flag("-a", "--attach", default=(), kind="csv", help="Attach to STDIN, STDOUT or STDERR")
    detach: bool = flag("-d", "--detach", help="Run container in background and print container ID")


def container_options(options: CreateOptions, image: str, command: tuple[str, ...]) -> ContainerOptions:
    """The container's part of what was given."""
    from pyctl.spec.options import ContainerOptions

    values = options.as_dict()
    fields = {name: getattr(options, name) for name in ContainerOptions.__fields__ if name in values}
    return ContainerOptions(image=image, command=command, **fields)
