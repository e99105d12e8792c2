"""What network suites are held in: a namespace that plays the host, with a keeper that really holds ports."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import pluggy

from pyctl_hookspecs import ConflictError, NetworkAttachment, NetworkRequest, NetworkSpecs

_CLONE_NEWNET = 0x40000000
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class FakeHost:
    """A ``Host`` that behaves, for drivers: a keeper that really holds ports, a task that is this process."""

    namespace = "suite"
    address = ""
    cni_paths = ("/opt/cni/bin", "/usr/lib/cni")

    def __init__(self, directory: str) -> None:
        self.data_store = f"{directory}/data"
        self.runtime_dir = f"{directory}/run"
        self._held: dict[str, list[socket.socket]] = {}

    def task_pid(self, container_id: str) -> int:
        """Every container runs, as this process."""
        return os.getpid()

    def cancelled(self) -> bool:
        """Nobody interrupts the suite."""
        return False

    def keeper(self, command: str, payload: Mapping[str, str]) -> Mapping[str, str]:
        """``hold_ports`` and ``release_ports`` as the real one answers them."""
        key = f"{payload['namespace']}/{payload['container']}"
        for held in self._held.pop(key, ()):
            held.close()
        if command == "release_ports":
            return {}
        sockets: list[socket.socket] = []
        answer = []
        for address, number, protocol in json.loads(payload["ports"]):
            if protocol == "sctp":  # few kernels have it
                answer.append([address, number or 49152, protocol])
                continue
            one = socket.socket(socket.AF_INET if "." in address else socket.AF_INET6, _KINDS[protocol])
            sockets.append(one)
            try:
                if one.family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bool(address))
                one.bind((address or "::", number))
                if protocol == "tcp":
                    one.listen(1)
            except OSError as error:
                for opened in sockets:
                    opened.close()
                raise ConflictError(f"Bind for {address}:{number} failed: port is already allocated") from error
            answer.append([address, one.getsockname()[1], protocol])
        self._held[key] = sockets
        return {"ports": json.dumps(answer)}

    def close(self) -> None:
        """Let every port go."""
        for sockets in self._held.values():
            for one in sockets:
                one.close()
        self._held.clear()


class Hooks:
    """The hooks of one plug-in as core calls them: one provider, its one result."""

    def __init__(self, plugin: object) -> None:
        manager = pluggy.PluginManager("pyctl")
        manager.add_hookspecs(NetworkSpecs)
        manager.register(plugin, "suite")
        manager.check_pending()
        self._hooks = manager.hook

    def has(self, name: str) -> bool:
        return bool(getattr(self._hooks, name).get_hookimpls())

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            results = getattr(self._hooks, name)(**arguments)
            return results[0] if results else None

        return call


class Arena:
    """The namespace that plays the host, and the containers' own ones."""

    def __init__(self, is_pinned: bool) -> None:
        self.is_pinned = is_pinned
        self._pins: list[str] = []
        self._home = -1
        if is_pinned:
            self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
            _check(_libc.unshare(_CLONE_NEWNET))
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def connect(self, hook: Any, request: NetworkRequest, host: FakeHost) -> NetworkAttachment:
        """Plan, make the namespace if it is to be pinned, set up."""
        intent = hook.plan_network(request=request, host=host)
        if intent.namespace == "pinned" and request.netns_path not in self._pins:
            os.makedirs(os.path.dirname(request.netns_path), exist_ok=True)
            open(request.netns_path, "w").close()
            subprocess.run(["unshare", f"--net={request.netns_path}", "true"], check=True)
            self._pins.append(request.netns_path)
        attachment: NetworkAttachment = hook.setup_network(request=request, undo_token=intent.undo_token, host=host)
        return attachment

    def links(self, netns_path: str = "") -> frozenset[str]:
        """Names of the interfaces on the host, or in a container's namespace."""
        inside = ["nsenter", f"--net={netns_path}"] if netns_path else []
        shown = subprocess.run([*inside, "ip", "-j", "link", "show"], check=True, capture_output=True).stdout
        return frozenset(link["ifname"] for link in json.loads(shown))

    def wait_for_links(self, wanted: frozenset[str]) -> None:
        """The kernel takes an interface away some time after the namespace it led to."""
        give_up = time.monotonic() + 10
        while (found := self.links()) != wanted:
            assert time.monotonic() < give_up, f"interfaces that were not there before: {', '.join(sorted(found - wanted))}"

    def rules(self) -> str:
        """The host's nft ruleset without counters, iptables' rules included; empty where there is no nft."""
        if shutil.which("nft") is None:
            return ""
        return subprocess.run(["nft", "-s", "list", "ruleset"], check=True, capture_output=True, text=True).stdout

    def flush_rules(self) -> bool:
        """Take every rule away, as somebody else's firewall script does; False if there was none."""
        if not self.rules():
            return False
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        return True

    def addresses(self, netns_path: str, interface: str) -> list[str]:
        """CIDR addresses and the hardware address of an interface, seen from inside."""
        command = ["nsenter", f"--net={netns_path}", "ip", "-j", "address", "show", "dev", interface]
        (link,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]] + [link["address"]]

    def release(self, netns_path: str) -> None:
        """Unpin a container's namespace."""
        if netns_path in self._pins:
            self._pins.remove(netns_path)
            subprocess.run(["umount", netns_path], check=True)

    def leave(self) -> None:
        """Back to the real host; the namespace vanishes."""
        for path in list(self._pins):
            self.release(path)
        if self._home >= 0:
            _check(_libc.setns(self._home, _CLONE_NEWNET))
            os.close(self._home)


_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
