"""Everything about the options that can be found wrong without looking anything up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.spec.options import ContainerOptions


def check(options: ContainerOptions, image_config: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Refuse bad values before anything is pulled or made; returns what the kernel cannot do, as Docker's warnings.

    With the image's config it also asks whether there is anything to run. Users and groups are looked up later, in the
    image's own files. Costs about a millisecond.

    Raises:
        InvalidArgumentError: names the flag, in Docker's words.
        UnsupportedError: a flag that is not done yet.
    """
    from pyctl.spec import capabilities, devices, namespaces
    from pyctl.spec.cgroups import read_cgroup_facts
    from pyctl.spec.endpoints import endpoints_of
    from pyctl.spec.env import user_env
    from pyctl.spec.filesystem import shm_bytes
    from pyctl.spec.labels import annotations_for, user_labels
    from pyctl.spec.mounts import parse_mounts
    from pyctl.spec.process import check_process, command_line
    from pyctl.spec.resources import linux_resources
    from pyctl.spec.security import parse_security
    from pyctl.spec.sysctls import sysctls
    from pyctl.spec.unsupported import refuse_unsupported

    refuse_unsupported(options)
    namespaces.check_modes(options)
    security = parse_security(options.security_opt)
    if security.seccomp not in ("", "builtin", "unconfined"):
        from pyctl.spec.seccomp import seccomp

        seccomp(security.seccomp, ())
    if options.cap_add or options.cap_drop:
        known = capabilities.available()
        capabilities.effective(options.cap_add, options.cap_drop, privileged=options.privileged, known=known)
    warnings: list[str] = []
    linux_resources(options, read_cgroup_facts(), warnings)
    devices.requested(options.device, options.device_cgroup_rule)
    host_network = endpoints_of(options)[0].kind == "host"
    sysctls(options.sysctl, host_network=host_network, host_ipc=options.ipc == "host", own_network=False)
    shm_bytes(options.shm_size)
    check_process(options)
    user_env(options.env, options.env_file)
    user_labels(options)
    annotations_for({}, options)
    parse_mounts(options, container_id="")
    if options.init or options.init_binary:
        from pyctl.spec.initprocess import find_init

        find_init(options.init_binary)
    if image_config is not None:
        command_line(options.entrypoint, options.command, image_config)
    return tuple(warnings)
