"""``--network ns:PATH``: a network namespace that somebody else made and keeps."""

from __future__ import annotations

import os

from pyctl_hookspecs import InvalidArgumentError, NetworkAttachment, NetworkIntent, NotFoundError, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs import NetworkRequest

_NS_GET_NSTYPE = 0xB703
_CLONE_NEWNET = 0x40000000


@hookimpl
def plan_network(request: NetworkRequest) -> NetworkIntent:
    """Looked at anew at every start: a reboot may have left a mere file there."""
    path = request.network.partition(":")[2]
    if not path.startswith("/"):
        raise InvalidArgumentError(f"invalid network {request.network}: the path of the namespace must be absolute")
    if request.ip or request.ip6 or request.mac_address:
        raise InvalidArgumentError(f"conflicting options: network {request.network} has addresses of its own")
    if not is_network_namespace(path):
        raise InvalidArgumentError(f"invalid network {request.network}: {path} is no network namespace")
    return NetworkIntent(says=f"join the network namespace at {path}", namespace="path", join_path=path)


@hookimpl
def setup_network(request: NetworkRequest) -> NetworkAttachment:
    return NetworkAttachment(interface="")  # as with host, published ports are discarded: every port is the namespace's


@hookimpl
def cleanup(undo_token: str) -> None:
    """The namespace is somebody else's."""


def is_network_namespace(path: str) -> bool:
    """
    Raises:
        NotFoundError: nothing is there.
        InvalidArgumentError: it cannot be opened.
    """
    import fcntl

    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not keep us
    except FileNotFoundError as error:
        raise NotFoundError("network namespace", path) from error
    except OSError as error:
        raise InvalidArgumentError(f"cannot open network namespace {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        return fcntl.ioctl(file, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False
    finally:
        os.close(file)
