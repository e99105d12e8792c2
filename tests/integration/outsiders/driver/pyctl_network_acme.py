"""``network create --driver acme``: a third party's driver. It connects nothing and writes down what it was asked.

``PYCTL_ACME_LOG`` is the file it writes to. A network with option ``mood=bad`` refuses to connect anybody.
"""

import json
import os

from pyctl_hookspecs import Host, NetworkAttachment, NetworkDefinition, NetworkIntent, NetworkRequest, PyctlError, hookimpl


@hookimpl
def compose_network(definition: NetworkDefinition) -> str:
    return json.dumps([{"type": "acme-cni", "options": dict(definition.options)}])


@hookimpl
def plan_network(request: NetworkRequest) -> NetworkIntent:
    return NetworkIntent(says=f"connect to {request.network} by acme", undo_token=f"{request.network}/{request.container_id}")


@hookimpl
def setup_network(request: NetworkRequest, undo_token: str, host: Host) -> NetworkAttachment:
    _note(f"setup {undo_token}")
    if json.loads(request.conflist)["plugins"][0]["options"].get("mood") == "bad":
        raise PyctlError("acme is out of order")
    return NetworkAttachment(interface=request.interface)


@hookimpl
def remove_network(network: str, conflist: str) -> None:
    _note(f"remove {network}")


@hookimpl
def cleanup(undo_token: str) -> None:
    _note(f"cleanup {undo_token}")


def _note(line: str) -> None:
    with open(os.environ["PYCTL_ACME_LOG"], "a") as log:
        log.write(f"{line}\n")
