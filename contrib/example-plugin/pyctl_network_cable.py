"""``--network bridge`` without a bridge: a cable (veth pair) of its own from every container to the host.

Containers reach the host and each other only through the host's routing. A whole plug-in in one module: it
imports ``pyctl_hookspecs`` and the standard library, nothing else.
"""

from __future__ import annotations

from pyctl_hookspecs import (
    ConflictError,
    NetworkAttachment,
    NetworkIntent,
    NetworkRequest,
    PyctlError,
    UnsupportedError,
    hookimpl,
)

GATEWAY = "169.254.1.1"  # the host's end of every cable; the container knows it as a neighbour, so one address is enough


@hookimpl
def plan_network(request: NetworkRequest) -> NetworkIntent:
    """Say what will happen and choose the undo token: the one name that is needed to take the cable away again."""
    if request.ports:
        raise UnsupportedError("network bridge (pyctl-network-cable) cannot publish ports", exit_code=125)
    cable = _cable(request)
    return NetworkIntent(says=f"connect {request.interface} to the host by cable {cable}", undo_token=cable)


@hookimpl
def setup_network(request: NetworkRequest, undo_token: str) -> NetworkAttachment:
    """Make the pair, one end in the container's namespace, and route the container's address to it."""
    import json

    address = request.ip or _address(request.container_id)
    if _run("ip", "route", "show", f"{address}/32"):
        raise ConflictError(f"Address already in use: {address}", exit_code=125)
    inside = ["nsenter", f"--net={request.netns_path}", "ip"]
    _run("ip", "link", "add", undo_token, "type", "veth", "peer", "name", request.interface, "netns", request.netns_path)
    _run("ip", "address", "add", f"{GATEWAY}/32", "dev", undo_token)
    _run("ip", "link", "set", undo_token, "up")
    _run("ip", "route", "add", f"{address}/32", "dev", undo_token, "src", GATEWAY)
    _run(*inside, "address", "add", f"{address}/32", "dev", request.interface)
    _run(*inside, "link", "set", request.interface, "up")
    _run(*inside, "route", "add", f"{GATEWAY}/32", "dev", request.interface)
    _run(*inside, "route", "add", "default", "via", GATEWAY)
    mac_address = json.loads(_run(*inside, "-j", "link", "show", request.interface))[0]["address"]
    result = {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": request.interface, "mac": mac_address, "sandbox": request.netns_path}],
        "ips": [{"address": f"{address}/32", "gateway": GATEWAY, "interface": 0}],
    }
    return NetworkAttachment(
        interface=request.interface,
        addresses=(f"{address}/32",),
        gateway=GATEWAY,
        mac_address=mac_address,
        cni_result=json.dumps(result),
    )


@hookimpl
def cleanup(undo_token: str) -> None:
    """Take the cable away. It may be gone already, with its namespace: that is success too."""
    try:
        _run("ip", "link", "delete", undo_token)
    except PyctlError:
        if any(f" {undo_token}@" in line for line in _run("ip", "-o", "link", "show", "type", "veth").splitlines()):
            raise


def _cable(request: NetworkRequest) -> str:
    """Name of the host's end: at most 15 characters, different for each interface of a container."""
    return f"cb{request.container_id[:9]}{request.interface[-2:]}"


def _address(container_id: str) -> str:
    """An address from the container's ID: no pool to keep, and the same again after a restart."""
    number = int(container_id[:8], 16)
    return f"10.200.{number // 254 % 256}.{number % 254 + 1}"


def _run(*argv: str) -> str:
    import subprocess  # 18 ms: only when there is something to do

    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PyctlError(f"{' '.join(argv)}: {done.stderr.strip()}", exit_code=125)
    return done.stdout
