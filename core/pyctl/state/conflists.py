"""CNI conflists on disk, shared with nerdctl: one directory, a folder per containerd namespace, one lock.

A file that cannot be read is a network with a ``problem``: whoever needs just that one is told, nobody else stops.
"""

from __future__ import annotations

import os

from pyctl.state.locks import Lock, is_temporary, write_atomic
from pyctl_hookspecs import NotFoundError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DRIVER_LABEL = "pyctl/driver"  # who carries the network out, when its chain of plug-ins does not say so
ATTACHABLE_LABEL = "pyctl/attachable"  # Docker remembers the word too, although any container may use a local network
AUX_LABEL = "nerdctl/network-aux-addresses"
_CNI_VERSIONS = ("", "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
_SUFFIXES = (".conf", ".conflist", ".json")
_IN_PROCESS = {"bridge", "portmap", "firewall", "tuning"}


class Subnet(Record):
    """One address range of a network, as texts; ``ip_range`` is empty when the whole subnet serves."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""


class Network(Record):
    """One network. ``network_id`` is empty when neither we nor nerdctl made it; ``conflist`` is its JSON text.

    ``driver`` is who connects containers (``bridge``, ``cni``, ``none``, ``host``), ``kind`` what Docker calls it,
    ``bridge`` the interface that CNI's bridge plug-in makes for it.
    ``problem`` says why the file is of no use, and is empty in the normal case; such a network has a name and a path only.
    """

    name: str
    network_id: str = ""
    driver: str
    kind: str
    path: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    conflist: str = ""
    bridge: str = ""
    version_problem: str = ""
    problem: str = ""


def read_all(netconf_path: str, namespace: str) -> tuple[Network, ...]:
    """Every network this namespace sees, sorted by file name, foreign and broken ones included.

    Nobody waits here: files are old or new, never half, and who creates a network may hold the lock for seconds.
    """
    return (*_read_folder(netconf_path), *_read_folder(os.path.join(netconf_path, namespace)))


def read_everywhere(netconf_path: str) -> tuple[Network, ...]:
    """The networks of every namespace; the lock must be held. A name may appear more than once."""
    folders = sorted(entry.name for entry in os.scandir(netconf_path) if entry.is_dir())
    return tuple(network for folder in ("", *folders) for network in _read_folder(os.path.join(netconf_path, folder)))


def lock_for_change(netconf_path: str) -> Lock:
    """nerdctl's lock, for as long as something is looked at and then written; the directory is made if it is missing."""
    os.makedirs(netconf_path, mode=0o755, exist_ok=True)
    return Lock(os.path.join(netconf_path, ".nerdctl.lock"))


def conflist_path(netconf_path: str, namespace: str, name: str) -> str:
    """Where a new network is written."""
    return os.path.join(netconf_path, namespace, f"nerdctl-{name}.conflist")


def check_present(path: str, name: str) -> None:
    """Look again whether a network's file is there, once nobody is about to remove it (see ``hold``).

    Raises:
        NotFoundError: removed; Docker's words.
    """
    from fcntl import LOCK_SH, flock

    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            flock(file, LOCK_SH)
            is_there = os.fstat(file).st_ino == os.stat(path).st_ino
        finally:
            os.close(file)
    except FileNotFoundError:
        is_there = False
    if not is_there:
        raise NotFoundError("network", name, message=f"network {name} not found")


def hold(path: str) -> Lock:
    """The file of a network that may be removed: whoever is about to connect a container waits until it is decided."""
    return Lock(path)


def save(config: Mapping[str, Any], path: str) -> None:
    """Write a conflist; the lock must be held."""
    import json

    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_atomic(path, json.dumps(config, indent=2), mode=0o644)


def _read_folder(directory: str) -> list[Network]:
    import json

    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    networks = []
    for name in names:
        path = os.path.join(directory, name)
        if not name.endswith(_SUFFIXES) or is_temporary(name) or os.path.isdir(path):
            continue
        config: Any = None
        try:
            with open(path, "rb") as file:
                config = json.loads(file.read())
            if not isinstance(config, dict) or not isinstance(config["name"], str):
                raise ValueError("no object with a name")
            networks.append(from_config(_gathered(config, directory), path))
        except FileNotFoundError:
            continue  # removed by somebody who takes no lock
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            networks.append(_broken(config, path, f"{path} is not a CNI network configuration: {what}"))
    return networks


def _gathered(config: dict[str, Any], directory: str) -> dict[str, Any]:
    """A list together with what the folder of its network's name adds to it, as the CNI specification has it."""
    if "type" in config or str(config.get("loadOnlyInlinedPlugins", False)).lower() == "true" or "/" in config["name"]:
        return config
    folder = os.path.join(directory, config["name"])
    if not os.path.isdir(folder):
        return config
    import json

    added = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".conf") and not is_temporary(name):
            with open(os.path.join(folder, name), "rb") as file:
                added.append(json.loads(file.read()))
    return {**config, "plugins": [*config.get("plugins", ()), *added]} if added else config


def _broken(config: Any, path: str, problem: str) -> Network:
    """Named by what can be read of it, or else by its file: ``nerdctl-NAME.conflist``, ``10-NAME.conflist``."""
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str):
        name = os.path.splitext(os.path.basename(path))[0]
        prefix, _, rest = name.partition("-")
        if rest and (prefix == "nerdctl" or prefix.isdecimal()):
            name = rest
    return Network(name=name, driver="", kind="", path=path, problem=problem)


def from_config(config: Mapping[str, Any], path: str) -> Network:
    """A parsed conflist as a record.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none.
    """
    import json

    if "plugins" not in config:  # a single .conf is a list of one
        config = {"cniVersion": config.get("cniVersion", "1.0.0"), "name": config["name"], "plugins": [config]}
    plugins = config["plugins"]
    kinds = [plugin["type"] for plugin in plugins]
    main = plugins[0] if plugins else {}
    ipam = main.get("ipam") or {}
    labels = dict(config.get("nerdctlLabels") or {})
    driver = labels.get(DRIVER_LABEL) or "cni"
    is_well_known = kinds[:1] == ["bridge"] and set(kinds) <= _IN_PROCESS and ipam.get("type") == "host-local"
    if is_well_known and not main.get("vlan") and driver == "cni":
        driver = "bridge"
    return Network(
        name=config["name"],
        network_id=config.get("nerdctlID") or "",
        driver=driver,
        kind=labels.get(DRIVER_LABEL) or (kinds[0] if kinds else ""),
        path=path,
        labels=tuple(sorted(labels.items())),
        subnets=_subnets(ipam),
        internal=driver == "bridge" and not main.get("isGateway"),
        bridge=(main.get("bridge") or "cni0") if kinds[:1] == ["bridge"] else "",
        conflist=json.dumps(config, separators=(",", ":")),
        version_problem=_version_problem(config, path),
    )


def _subnets(ipam: Mapping[str, Any]) -> tuple[Subnet, ...]:
    """Each subnet once: reserved addresses split a range into several."""
    ranges = [one for group in ipam.get("ranges") or () for one in group]
    if not ranges and "subnet" in ipam:
        ranges = [ipam]
    found = {
        one["subnet"]: Subnet(subnet=one["subnet"], gateway=one.get("gateway", ""), ip_range=one.get("ipRange", ""))
        for one in reversed(ranges)
    }
    return tuple(reversed(found.values()))


def _version_problem(config: Mapping[str, Any], path: str) -> str:
    """Versions are texts; a list may name several (CNI 1.1)."""
    versions = [config.get("cniVersion") or "", *(config.get("cniVersions") or ())]
    if any(version in _CNI_VERSIONS for version in versions):
        return ""
    return f"network {config['name']} is of CNI version {versions[0]}, which is not known ({path})"
