"""The whole OCI runtime specification, from what the user asked for, the image and the facts of the machine."""

from __future__ import annotations

from pyctl.spec.cgroups import CgroupFacts
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pyctl.spec.options import ContainerOptions
    from pyctl_hookspecs.process_mounts import OciMount

OCI_VERSION = "1.0.2"


def _no_file(path: str) -> bytes | None:
    return None


class SpecFacts(Record):
    """What the caller knows: names, paths and what earlier steps have made.

    Namespaces: None is the machine's, an empty text a new one made by the runtime, else the path to join. They hold
    for what ``--pid`` and ``--ipc`` leave open (``host`` in the options wins). ``read_file`` gives a file of the
    image (``/etc/passwd``), None if there is none. ``init_source`` and ``init_path`` come from ``find_init`` when
    ``--init`` was given. ``network_joined``: the network namespace belongs to somebody else (``container:``, ``ns:``).
    """

    container_id: str
    namespace: str
    hostname: str = ""
    domainname: str = ""
    network_namespace: str | None = ""
    network_joined: bool = False
    pid_namespace: str | None = ""
    ipc_namespace: str | None = ""
    mounts: tuple[OciMount, ...] = ()
    read_file: Callable[[str], bytes | None] = _no_file
    cgroups: CgroupFacts = CgroupFacts()
    cgroup_manager: str = "cgroupfs"
    capabilities: tuple[str, ...] = ()  # what the machine can give; empty: find out
    annotations: tuple[tuple[str, str], ...] = ()
    resolv_conf_path: str = ""
    hosts_path: str = ""
    hostname_path: str = ""
    shm_path: str = ""
    init_source: str = ""
    init_path: str = ""


def build_spec(
    options: ContainerOptions, image_config: Mapping[str, Any], facts: SpecFacts, warnings: list[str] | None = None
) -> dict[str, Any]:
    """The specification as plain data, ready for JSON.

    ``image_config`` is the ``config`` object of the image's configuration (Env, Cmd, Entrypoint, User, WorkingDir ...).
    What the kernel cannot do and Docker only warns about goes to ``warnings``.

    Raises:
        InvalidArgumentError: names the flag, in Docker's words; nothing was changed.
    """
    from pyctl.spec import capabilities, filesystem, namespaces
    from pyctl.spec.cgroups import cgroups_path
    from pyctl.spec.process import process
    from pyctl.spec.security import parse_security
    from pyctl.spec.sysctls import sysctls

    namespaces.check_modes(options)
    security = parse_security(options.security_opt)
    known = facts.capabilities or capabilities.available()
    held = capabilities.effective(options.cap_add, options.cap_drop, privileged=options.privileged, known=known)
    linux: dict[str, Any] = {
        "namespaces": namespaces.namespaces(options, facts),
        "resources": _resources(options, facts, [] if warnings is None else warnings),
    }
    path = cgroups_path(facts.container_id, facts.namespace, options.cgroup_parent, facts.cgroup_manager)
    if path:
        linux["cgroupsPath"] = path
    _add_devices(linux, options, security.privileged_without_host_devices)
    filesystem.confine(linux, options, security)
    sysctl = sysctls(
        options.sysctl,
        host_network=facts.network_namespace is None,
        host_ipc=options.ipc == "host",
        own_network=facts.network_namespace is not None and not facts.network_joined,
    )
    if sysctl:
        linux["sysctl"] = sysctl
    _add_seccomp(linux, options, security.seccomp, held)
    propagation = rootfs_propagation(facts.mounts)
    if propagation:
        linux["rootfsPropagation"] = propagation
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": process(options, image_config, facts, held, security.no_new_privileges),
        "root": {"path": "rootfs", "readonly": True} if options.read_only else {"path": "rootfs"},
        "mounts": filesystem.merge(
            filesystem.default_mounts(options, security, facts), filesystem.own_files(facts), facts.mounts
        ),
        "linux": linux,
    }
    if facts.hostname and options.uts != "host":
        spec["hostname"] = facts.hostname
    if facts.domainname and options.uts != "host":
        # The specification's own field is newer than runc 1.1; the sysctl works with every runtime.
        linux.setdefault("sysctl", {})["kernel.domainname"] = facts.domainname
    annotations = dict(facts.annotations)
    if annotations:
        spec["annotations"] = annotations
    return spec


def rootfs_propagation(mounts: tuple[OciMount, ...]) -> str:
    """What the container's root must be for its mounts to propagate: empty means the runtime's private default."""
    words = {word for mount in mounts for word in mount.options}
    if words & {"shared", "rshared"}:
        return "shared"
    return "rslave" if words & {"slave", "rslave"} else ""


def _resources(options: ContainerOptions, facts: SpecFacts, warnings: list[str]) -> dict[str, Any]:
    from pyctl.spec.resources import linux_resources

    return linux_resources(options, facts.cgroups, warnings)


def _add_devices(linux: dict[str, Any], options: ContainerOptions, without_host_devices: bool) -> None:
    from pyctl.spec import devices

    nodes, rules = devices.requested(options.device, options.device_cgroup_rule)
    if options.privileged:
        asked = {node["path"] for node in nodes}
        if not without_host_devices:
            nodes += [node for node in devices.host_devices() if node["path"] not in asked]
        linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    else:
        linux["resources"]["devices"] = devices.default_rules() + rules
    if nodes:
        linux["devices"] = nodes


def _add_seccomp(linux: dict[str, Any], options: ContainerOptions, profile: str, held: list[str]) -> None:
    if options.privileged and not profile:
        return  # as Docker: privileged means unconfined, but a profile asked for is used
    from pyctl.spec.seccomp import seccomp

    found = seccomp(profile or "builtin", held)
    if found:
        linux["seccomp"] = found
