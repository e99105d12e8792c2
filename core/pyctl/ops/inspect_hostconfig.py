"""``HostConfig`` of ``inspect``: limits, rights, namespaces and mounts of a container, in Docker's shape.

Limits come from the specification, which ``update`` changes; words as typed from the request, where one was kept.
Fields that Docker leaves out when they are empty are left out.
"""

from __future__ import annotations

from pyctl.spec.options import ContainerOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pyctl.ops.inspect_facts import ContainerFacts
    from pyctl.spec.mounts import MountPoint
    from pyctl_hookspecs.setup_network import PortMapping

_NOTHING_TYPED = ContainerOptions(image="")
_SHM_BYTES = 64 << 20
_UNLIMITED = (1 << 63) - 1
_OWN_SYSCTLS = ("net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "kernel.domainname")


def host_config(facts: ContainerFacts) -> dict[str, Any]:
    """The whole object, in Docker's order."""
    typed = facts.options or _NOTHING_TYPED
    labels = facts.labels
    dns = facts.label_json("dns") or {}
    log = facts.label_json("log-config") or {}
    stored = facts.label_json("host-config") or {}
    config: dict[str, Any] = {
        "Binds": _binds(facts) or None,
        "ContainerIDFile": stored.get("CidFile") or "",
        "LogConfig": {"Type": log.get("driver") or "none", "Config": log.get("opts") or {}},
        "NetworkMode": _network_mode(facts),
        "PortBindings": _port_bindings(facts),
        "RestartPolicy": _restart_policy(labels.get("containerd.io/restart.policy", "no")),
        "AutoRemove": labels.get("nerdctl/auto-remove") == "true",
        "VolumeDriver": typed.volume_driver,
        "VolumesFrom": list(typed.volumes_from) or None,
        "ConsoleSize": [0, 0],
        "CapAdd": _capabilities(facts)[0] or None,
        "CapDrop": _capabilities(facts)[1] or None,
        "CgroupnsMode": "private" if facts.has_namespace("cgroup") else "host",
        "Dns": list(dns.get("DNSServers") or ()),
        "DnsOptions": list(dns.get("DNSResolvConfOptions") or ()),
        "DnsSearch": list(dns.get("DNSSearchDomains") or ()),
        "ExtraHosts": list(facts.label_json("extraHosts") or ()) or None,
        "GroupAdd": list(typed.group_add) or None,
        "IpcMode": _ipc_mode(facts),
        "Cgroup": "",
        "Links": list(typed.link) or None,
        "OomScoreAdj": facts.process.get("oomScoreAdj") or 0,
        "PidMode": _pid_mode(facts),
        "Privileged": labels.get("nerdctl/privileged") == "true",
        "PublishAllPorts": typed.publish_all,
        "ReadonlyRootfs": bool((facts.spec.get("root") or {}).get("readonly")),
        "SecurityOpt": _security(facts),
        "UTSMode": "" if facts.has_namespace("uts") else "host",
        "UsernsMode": typed.userns,
        "ShmSize": _shm_size(facts),
        "Runtime": _runtime(facts),
        "Isolation": "",
        **_resources(facts, typed, stored),
        "MaskedPaths": facts.linux.get("maskedPaths"),
        "ReadonlyPaths": facts.linux.get("readonlyPaths"),
    }
    return config | _optional(facts, typed)


def _optional(facts: ContainerFacts, typed: ContainerOptions) -> dict[str, Any]:
    """Fields that exist only when they say something."""
    from pyctl.ops.listing import has_init

    found: dict[str, Any] = {
        "Mounts": [_mount_request(point, text) for text in typed.mount for point in mounted_by(facts, text)],
        "Tmpfs": dict(_halves(text, ":") for text in typed.tmpfs),
        "Sysctls": _sysctls(facts),
        "Annotations": {k: v for k, v in (facts.spec.get("annotations") or {}).items() if "nerdctl/" not in k},
        "StorageOpt": dict(_halves(text, "=") for text in typed.storage_opt),
        "Init": has_init(tuple(facts.process.get("args") or ())),
    }
    return {key: value for key, value in found.items() if value}


def _resources(facts: ContainerFacts, typed: ContainerOptions, stored: Mapping[str, Any]) -> dict[str, Any]:
    limits = facts.linux.get("resources") or {}
    memory, cpu, block = (limits.get(key) or {} for key in ("memory", "cpu", "blockIO"))
    quota, period, nano = cpu.get("quota") or 0, cpu.get("period") or 0, 0
    if typed.cpus and period:
        quota, period, nano = 0, 0, (cpu.get("quota") or 0) * 1_000_000_000 // period
    return {
        "CpuShares": cpu.get("shares") or 0,
        "Memory": memory.get("limit") or 0,
        "NanoCpus": nano,
        "CgroupParent": typed.cgroup_parent,
        "BlkioWeight": block.get("weight") or 0,
        "BlkioWeightDevice": [
            {"Path": _block_device(one), "Weight": one.get("weight") or 0} for one in block.get("weightDevice") or ()
        ],
        "BlkioDeviceReadBps": _throttle(block.get("throttleReadBpsDevice")),
        "BlkioDeviceWriteBps": _throttle(block.get("throttleWriteBpsDevice")),
        "BlkioDeviceReadIOps": _throttle(block.get("throttleReadIOPSDevice")),
        "BlkioDeviceWriteIOps": _throttle(block.get("throttleWriteIOPSDevice")),
        "CpuPeriod": period,
        "CpuQuota": quota,
        "CpuRealtimePeriod": cpu.get("realtimePeriod") or 0,
        "CpuRealtimeRuntime": cpu.get("realtimeRuntime") or 0,
        "CpusetCpus": cpu.get("cpus") or "",
        "CpusetMems": cpu.get("mems") or "",
        "Devices": stored.get("Devices") or [],
        "DeviceCgroupRules": list(typed.device_cgroup_rule) or None,
        "DeviceRequests": None,
        "MemoryReservation": memory.get("reservation") or 0,
        "MemorySwap": memory.get("swap") or 0,
        "MemorySwappiness": memory.get("swappiness"),
        "OomKillDisable": bool(memory.get("disableOOMKiller")),
        "PidsLimit": (limits.get("pids") or {}).get("limit") or None,
        "Ulimits": [
            {
                "Name": one["type"].removeprefix("RLIMIT_").lower(),
                "Hard": _limit(one.get("hard", 0)),
                "Soft": _limit(one.get("soft", 0)),
            }
            for one in facts.process.get("rlimits") or ()
        ],
        "CpuCount": typed.cpu_count,
        "CpuPercent": typed.cpu_percent,
        "IOMaximumIOps": typed.io_maxiops,
        "IOMaximumBandwidth": 0,
    }


def _limit(value: int) -> int:
    return -1 if value > _UNLIMITED else value


def _throttle(devices: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    return [{"Path": _block_device(one), "Rate": one.get("rate") or 0} for one in devices or ()]


def _block_device(one: Mapping[str, Any]) -> str:
    """The device's file, from its numbers."""
    import os

    number = f"{one.get('major')}:{one.get('minor')}"
    try:
        return "/dev/" + os.path.basename(os.readlink(f"/sys/dev/block/{number}"))
    except OSError:
        return number  # unplugged since


def _network_mode(facts: ContainerFacts) -> str:
    """The first network it was made with, whatever it was connected to later."""
    from pyctl.ops.listing import network_names
    from pyctl.spec.endpoints import endpoints_of

    now = next(iter(network_names(facts.labels)), "none")
    if facts.options is None or now.startswith("container:"):
        return now
    return endpoints_of(facts.options)[0].network


def _port_bindings(facts: ContainerFacts) -> dict[str, list[dict[str, str]]]:
    """What was asked for: a port that is chosen at start is empty here, and real in ``NetworkSettings``."""
    found: dict[str, list[dict[str, str]]] = {}
    for port in _asked_ports(facts):
        host_port = str(port.host_port or "")
        if port.host_port_end:
            host_port += f"-{port.host_port_end}"
        binding = {"HostIp": port.host_ip, "HostPort": host_port}
        found.setdefault(f"{port.container_port}/{port.protocol}", []).append(binding)
    return found


def _asked_ports(facts: ContainerFacts) -> tuple[PortMapping, ...]:
    if facts.options is None:
        return facts.ports
    from pyctl.spec.ports import parse_published

    return parse_published(facts.options.publish)


def _restart_policy(text: str) -> dict[str, Any]:
    name, _, count = text.partition(":")
    return {"Name": name or "no", "MaximumRetryCount": int(count) if count.isdecimal() else 0}


def _capabilities(facts: ContainerFacts) -> tuple[list[str], list[str]]:
    """Added and dropped, as typed; without the request, the difference to the usual ones."""
    if facts.options is not None:
        return list(facts.options.cap_add), list(facts.options.cap_drop)
    from pyctl.spec.capabilities import DEFAULT

    held = (facts.process.get("capabilities") or {}).get("bounding")
    if held is None or facts.labels.get("nerdctl/privileged") == "true":
        return [], []
    return [name for name in held if name not in DEFAULT], [name for name in DEFAULT if name not in held]


def _ipc_mode(facts: ContainerFacts) -> str:
    ipc = facts.label_json("ipc") or {}
    donor = ipc.get("victimContainerId")
    if donor:
        return f"container:{donor}"
    return ipc.get("mode") or ("private" if facts.has_namespace("ipc") else "host")


def _pid_mode(facts: ContainerFacts) -> str:
    donor = facts.labels.get("nerdctl/pid-container")
    if donor:
        return f"container:{donor}"
    return "" if facts.has_namespace("pid") else "host"


def _security(facts: ContainerFacts) -> list[str] | None:
    if facts.options is not None:
        found = list(facts.options.security_opt)
        is_open = facts.options.privileged or "host" in (facts.options.pid, facts.options.ipc)
        if is_open and not any(text.startswith("label=") for text in found):
            found.append("label=disable")  # whether the machine has SELinux or not, as Docker shows it
    else:
        found = ["no-new-privileges"] if facts.process.get("noNewPrivileges") else []
        if facts.process.get("apparmorProfile"):
            found.append(f"apparmor={facts.process['apparmorProfile']}")
        if not facts.linux.get("seccomp") and facts.labels.get("nerdctl/privileged") != "true":
            found.append("seccomp=unconfined")
    return found or None


def _shm_size(facts: ContainerFacts) -> int:
    """What was asked for, as Docker shows it, though another's ``/dev/shm``, or none, may be mounted."""
    from pyctl.spec.filesystem import shm_bytes

    if facts.options is not None:
        return shm_bytes(facts.options.shm_size)
    asked = (facts.label_json("ipc") or {}).get("shmSize")
    if asked:
        return shm_bytes(str(asked))
    for mount in facts.spec.get("mounts") or ():
        if mount.get("destination") == "/dev/shm":
            for word in mount.get("options") or ():
                number = word.removeprefix("size=")
                if number is not word and number.rstrip("k").isdecimal():
                    return int(number.rstrip("k")) * (1024 if number.endswith("k") else 1)
    return _SHM_BYTES


def _runtime(facts: ContainerFacts) -> str:
    from pyctl.containerd.tasks import runc_options_in

    if facts.options is not None and facts.options.runtime:
        return facts.options.runtime
    binary = runc_options_in(facts.container.runtime_options).get("binary_name")
    if binary:
        return str(binary)
    return "runc" if facts.container.runtime_name == "io.containerd.runc.v2" else facts.container.runtime_name


def _sysctls(facts: ContainerFacts) -> dict[str, str]:
    if facts.options is not None:
        return dict(_halves(text, "=") for text in facts.options.sysctl)
    return {key: value for key, value in (facts.linux.get("sysctl") or {}).items() if key not in _OWN_SYSCTLS}


def _binds(facts: ContainerFacts) -> list[str]:
    """``-v`` with a source. The source is what was mounted: a relative path has become an absolute one."""
    if facts.options is None:
        anonymous = set(facts.label_json("anonymous-volumes") or ())
        return [_bind(point, point.mode) for point in facts.mounts if _is_bind(point) and point.name not in anonymous]
    found = []
    for text in facts.options.volume:
        parts = text.split(":")
        if len(parts) > 1:
            point = mount_at(facts, parts[1])
            found.append(_bind(point, ":".join(parts[2:])) if point else text)
    return found


def _is_bind(point: MountPoint) -> bool:
    return point.type in ("bind", "volume")


def _bind(point: MountPoint, mode: str) -> str:
    return f"{point.name or point.source}:{point.destination}" + (f":{mode}" if mode else "")


def mount_at(facts: ContainerFacts, destination: str) -> MountPoint | None:
    """The mount of the container at this place."""
    import posixpath

    wanted = posixpath.normpath(destination)
    return next((point for point in facts.mounts if posixpath.normpath(point.destination) == wanted), None)


def mounted_by(facts: ContainerFacts, text: str) -> tuple[MountPoint, ...]:
    """The mount that a ``--mount`` made."""
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key.strip().lower() in ("target", "dst", "destination"):
            point = mount_at(facts, value)
            return (point,) if point else ()
    return ()


def _mount_request(point: MountPoint, text: str) -> dict[str, Any]:
    from pyctl.spec.mountflag import parse_mount_flag

    request = parse_mount_flag(text, "")
    found: dict[str, Any] = {"Type": point.type}
    source = point.name or point.source
    if source:
        found["Source"] = source
    found["Target"] = point.destination
    if not point.read_write:
        found["ReadOnly"] = True
    if point.type == "bind":
        propagation = {"Propagation": point.propagation} if point.propagation not in ("", "rprivate") else {}
        options: dict[str, Any] = propagation | ({"NonRecursive": True} if "bind" in request.options else {})
    elif point.type == "volume":
        labels = dict(_halves(word.partition("=")[2], "=") for word in request.options)
        options = ({} if request.copy_up else {"NoCopy": True}) | ({"Labels": labels} if labels else {})
        options |= {"DriverConfig": {}} if options else {}
    else:
        options = {"SizeBytes": request.size_bytes} if request.size_bytes else {}
        options |= {"Mode": int(request.mode, 8)} if request.mode else {}
    if options:
        found[f"{point.type.capitalize()}Options"] = options
    return found


def _halves(text: str, separator: str) -> tuple[str, str]:
    key, _, value = text.partition(separator)
    return key, value
