"""``info``: the machine, the daemon and how many containers and images there are, in Docker's shape."""

from __future__ import annotations

import os

from pyctl_hookspecs.errors import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.containerd.records import PluginInfo
    from pyctl.ops.session import Session
    from pyctl.ops.settings import Settings
    from pyctl.spec.cgroups import CgroupFacts

_INDEX = "https://index.docker.io/v1/"
_RUNTIMES = ("runc", "crun", "youki", "kata-runtime", "runsc")


def info(settings: Settings) -> dict[str, Any]:
    """The object of ``docker info --format json``; with nobody there, ``ServerErrors`` and ``ClientInfo`` only."""
    from pyctl.ops.system import client_version, look

    client = client_version()
    about_client = {
        "Debug": settings.debug,
        **{key: client[key] for key in ("Version", "GitCommit", "GoVersion", "Os", "Arch", "BuildTime", "Context")},
        "Plugins": [],
        "Warnings": None,
    }
    try:
        session = look(settings)
        try:
            return {**_server(session), "ClientInfo": about_client}
        finally:
            session.close()
    except PyctlError as error:
        return {"ServerErrors": [str(error)], "ClientInfo": about_client}


def info_native(settings: Settings) -> dict[str, Any]:
    """``info --mode native``: the settings, and what the daemon says of itself and its plug-ins, in its own words.

    Raises:
        UnavailableError: nobody answers.
    """
    from pyctl.ops.system import look

    session = look(settings)
    try:
        number, revision = session.client.version()
        return {
            "Namespace": session.namespace,
            "Snapshotter": session.settings.snapshotter,
            "CgroupManager": session.settings.cgroup_manager,
            "Rootless": session.settings.mode == "rootless",
            "Daemon": {
                "Plugins": {"plugins": [_native_plugin(one) for one in session.client.plugins()]},
                "Server": {"uuid": session.client.server_uuid()},
                "Version": {"version": number, "revision": revision},
            },
        }
    finally:
        session.close()


def _native_plugin(one: PluginInfo) -> dict[str, Any]:
    """As nerdctl's readers expect it: containerd's message with what is empty left out."""
    found = {
        "type": one.type,
        "id": one.plugin_id,
        "platforms": [dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False)) for text in one.platforms],
        "exports": dict(one.exports),
        "capabilities": list(one.capabilities),
        "init_err": {"code": one.init_code, "message": one.init_error} if one.init_error else {},
    }
    return {name: value for name, value in found.items() if value}


def _server(session: Session) -> dict[str, Any]:
    from pyctl.ops.system import runtime_version
    from pyctl.spec.cgroups import read_cgroup_facts

    settings, machine = session.settings, os.uname()
    number, revision = session.client.version()
    cgroups = read_cgroup_facts()
    runc = runtime_version("runc")
    release = read_os_release()
    return {
        "ID": session.client.server_uuid(),
        **_counts(session),
        "Driver": settings.snapshotter,
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": _names(session, "network"),
            "Authorization": None,
            "Log": _names(session, "logging"),
            "Storage": _snapshotters(session),
        },
        **_limits(cgroups),
        "Debug": settings.debug,
        "NFd": 0,
        "NGoroutines": 0,
        "SystemTime": _now(),
        "LoggingDriver": "json-file",
        "CgroupDriver": settings.cgroup_manager,
        "CgroupVersion": str(cgroups.version),
        "NEventsListener": 0,
        "KernelVersion": machine.release,
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": machine.machine,
        "IndexServerAddress": _INDEX,
        "RegistryConfig": _registries(settings),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "GenericResources": None,
        "DockerRootDir": settings.data_root,
        "HttpProxy": _proxy("http_proxy"),
        "HttpsProxy": _proxy("https_proxy"),
        "NoProxy": _proxy("no_proxy"),
        "Name": machine.nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": number,
        "Runtimes": _runtimes(),
        "DefaultRuntime": "runc",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,  # containers do not notice that the daemon is gone
        "Isolation": "",
        "InitBinary": _init(),
        "ContainerdCommit": {"ID": revision, "Expected": revision},
        "RuncCommit": {"ID": runc[1] if runc else "", "Expected": runc[1] if runc else ""},
        "InitCommit": {"ID": "", "Expected": ""},
        "SecurityOptions": _security(settings, cgroups),
        "CDISpecDirs": list(settings.cdi_spec_dirs),
        "Warnings": _warnings(cgroups) or None,
    }


def _counts(session: Session) -> dict[str, int]:
    """Containers by state, and images by what they stand for, not by their names."""
    from pyctl.ops.listing import ls

    states = [one.state for one in ls(session, every=True, brief=True)]
    paused = sum(1 for state in states if state.status == "paused")
    running = sum(1 for state in states if state.is_running)
    return {
        "Containers": len(states),
        "ContainersRunning": running - paused,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running,
        "Images": len({image.target.digest for image in session.client.images.list()}),
    }


def _limits(cgroups: CgroupFacts) -> dict[str, bool]:
    known = cgroups.controllers
    return {
        "MemoryLimit": "memory" in known,
        "SwapLimit": cgroups.swap_limit,
        "CpuCfsPeriod": "cpu" in known,
        "CpuCfsQuota": "cpu" in known,
        "CPUShares": "cpu" in known,
        "CPUSet": "cpuset" in known,
        "CPURealtime": cgroups.realtime,
        "PidsLimit": "pids" in known,
        "IPv4Forwarding": _is_on("/proc/sys/net/ipv4/ip_forward"),
        "BridgeNfIptables": _is_on("/proc/sys/net/bridge/bridge-nf-call-iptables"),
        "BridgeNfIp6tables": _is_on("/proc/sys/net/bridge/bridge-nf-call-ip6tables"),
        "OomKillDisable": cgroups.oom_kill_disable,
    }


def _warnings(cgroups: CgroupFacts) -> list[str]:
    """What this kernel cannot do, in Docker's words."""
    limits = _limits(cgroups)
    found = [
        f"WARNING: No {text} support"
        for key, text in (("MemoryLimit", "memory limit"), ("SwapLimit", "swap limit"), ("CPUShares", "cpu shares"))
        if not limits[key]
    ]
    found += [
        f"WARNING: No {text} support" for key, text in (("CPUSet", "cpuset"), ("PidsLimit", "pids limit")) if not limits[key]
    ]
    if not limits["IPv4Forwarding"]:
        found.append("WARNING: IPv4 forwarding is disabled")
    return found


def _is_on(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read().strip() not in (b"", b"0")
    except OSError:
        return False


def _names(session: Session, kind: str) -> list[str]:
    return session.hooks.registry.names(kind)


def _snapshotters(session: Session) -> list[str]:
    plugins = session.client.plugins(("type==io.containerd.snapshotter.v1",))
    return sorted(one.plugin_id for one in plugins if not one.init_error)


def _now() -> str:
    from pyctl.ops.tasks import now_text

    return now_text()


def read_os_release(paths: tuple[str, ...] = ("/etc/os-release", "/usr/lib/os-release")) -> dict[str, str]:
    """The system's own description of itself; empty if it has none."""
    import shlex

    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        found = {}
        for line in lines:
            key, equals, value = line.partition("=")
            if equals and not key.startswith("#"):
                words = shlex.split(value)
                found[key.strip()] = words[0] if words else ""
        return found
    return {}


def _registries(settings: Settings) -> dict[str, Any]:
    return {
        "AllowNondistributableArtifactsCIDRs": None,
        "AllowNondistributableArtifactsHostnames": None,
        "InsecureRegistryCIDRs": ["0.0.0.0/0"] if settings.insecure_registry else ["127.0.0.0/8"],
        "IndexConfigs": {
            "docker.io": {"Name": "docker.io", "Mirrors": [], "Secure": not settings.insecure_registry, "Official": True}
        },
        "Mirrors": [],
    }


def _runtimes() -> dict[str, dict[str, str]]:
    """What ``--runtime`` takes here: the shim's name, and the OCI runtimes in PATH."""
    from shutil import which

    found: Mapping[str, str | None] = {name: which(name) for name in _RUNTIMES}
    return {"io.containerd.runc.v2": {"path": "runc"}} | {name: {"path": path} for name, path in found.items() if path}


def _init() -> str:
    from pyctl.spec.initprocess import find_init

    try:
        return os.path.basename(find_init("")[0])
    except PyctlError:
        return ""


def _security(settings: Settings, cgroups: CgroupFacts) -> list[str]:
    found = ["name=seccomp,profile=builtin"]
    if _is_apparmor():
        found.insert(0, "name=apparmor")
    if settings.mode == "rootless":
        found.append("name=rootless")
    if cgroups.version == 2:
        found.append("name=cgroupns")
    return found


def _is_apparmor() -> bool:
    try:
        with open("/sys/module/apparmor/parameters/enabled", "rb") as file:
            return file.read(1) == b"Y"
    except OSError:
        return False


def _proxy(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""
