"""What `run` and `create` were told about a container, as the user wrote it."""

from __future__ import annotations

from pyctl_hookspecs.records import Record


class ContainerOptions(Record):
    """Every flag of ``run`` and ``create`` that concerns the container, under its own name with underscores.

    Texts stay as typed (``512m``, ``1.5``, ``0:80``): the modules of this room parse them and name the flag
    when they cannot. An empty text, an empty tuple, a zero and None all mean "not given", except where a field says
    otherwise. Aliases are folded by the command line: ``--net`` into ``network``, ``--dns-opt`` into
    ``dns_option``, ``--net-alias`` into ``network_alias``, ``--time``-like spellings into theirs. Values of
    comma-separated flags arrive split.
    """

    image: str
    command: tuple[str, ...] = ()

    # identity
    name: str = ""
    hostname: str = ""
    domainname: str = ""
    label: tuple[str, ...] = ()
    label_file: tuple[str, ...] = ()
    annotation: tuple[str, ...] = ()
    cidfile: str = ""
    pidfile: str = ""

    # process
    entrypoint: tuple[str, ...] | None = None  # None: the image's; ("",): none at all
    env: tuple[str, ...] = ()
    env_file: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    umask: str = ""
    group_add: tuple[str, ...] = ()
    tty: bool = False
    interactive: bool = False
    init: bool = False
    init_binary: str = ""  # a value implies --init; empty: tini
    systemd: str = "false"  # false, true, always
    ulimit: tuple[str, ...] = ()
    oom_score_adj: int = 0
    rootfs: bool = False
    read_only: bool = False

    # security
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    sysctl: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    device_cgroup_rule: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    userns: str = ""

    # namespaces
    pid: str = ""
    ipc: str = ""
    uts: str = ""
    cgroupns: str = ""

    # resources
    cpus: str = ""
    cpu_shares: int = 0
    cpu_quota: int = 0  # microseconds; -1 and 0: unset
    cpu_period: int = 0  # microseconds
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpu_count: int = 0  # Windows
    cpu_percent: int = 0  # Windows
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory: str = ""
    memory_reservation: str = ""
    memory_swap: str = ""
    memory_swappiness: int = -1  # -1: unset
    kernel_memory: str = ""
    oom_kill_disable: bool = False
    pids_limit: int = 0  # 0 and -1: unlimited
    blkio_weight: int = 0
    blkio_weight_device: tuple[str, ...] = ()
    device_read_bps: tuple[str, ...] = ()
    device_read_iops: tuple[str, ...] = ()
    device_write_bps: tuple[str, ...] = ()
    device_write_iops: tuple[str, ...] = ()
    io_maxbandwidth: str = ""  # Windows
    io_maxiops: int = 0  # Windows
    cgroup_parent: str = ""
    cgroup_conf: tuple[str, ...] = ()
    rdt_class: str = ""
    shm_size: str = ""

    # storage
    volume: tuple[str, ...] = ()
    mount: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    volumes_from: tuple[str, ...] = ()
    volume_driver: str = ""
    storage_opt: tuple[str, ...] = ()

    # network
    network: tuple[str, ...] = ()  # empty: the default bridge; each with commas, as typed
    network_alias: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    publish_all: bool = False
    expose: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    link_local_ip: tuple[str, ...] = ()
    mac_address: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_option: tuple[str, ...] = ()
    add_host: tuple[str, ...] = ()
    link: tuple[str, ...] = ()

    # life
    restart: str = "no"
    rm: bool = False
    stop_signal: str = ""  # empty: the image's, else SIGTERM
    stop_timeout: int | None = None  # seconds; None: 10 when stopping
    health_cmd: str = ""
    health_interval: str = ""
    health_timeout: str = ""
    health_retries: int = 0
    health_start_period: str = ""
    health_start_interval: str = ""
    no_healthcheck: bool = False
    log_driver: str = ""  # empty: json-file
    log_opt: tuple[str, ...] = ()
    runtime: str = ""  # empty: io.containerd.runc.v2

    # image
    pull: str = "missing"  # always, missing, never
    platform: str = ""
    quiet: bool = False
    disable_content_trust: bool = True
    verify: str = "none"
    cosign_key: str = ""
    cosign_certificate_identity: str = ""
    cosign_certificate_identity_regexp: str = ""
    cosign_certificate_oidc_issuer: str = ""
    cosign_certificate_oidc_issuer_regexp: str = ""
    ipfs_address: str = ""
    isolation: str = ""

    # the command's own end of the session
    attach: tuple[str, ...] = ()
    detach: bool = False  # run only
    detach_keys: str = ""  # empty: ctrl-p,ctrl-q
    sig_proxy: bool = True
