"""``setup_network``: connect a container's network namespace."""

from __future__ import annotations

from pyctl_hookspecs.cleanup import CleanupSpecs
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


class PortMapping(Record):
    """One published port. ``host_port`` 0 means: choose one; ``protocol`` is tcp, udp or sctp.

    With ``host_port_end`` any free port from ``host_port`` to it will do (``-p 8080-8090:80``). In an attachment
    it is 0 and ``host_port`` is the one that was taken.
    """

    container_port: int
    host_port: int = 0
    protocol: str = "tcp"
    host_ip: str = "0.0.0.0"
    host_port_end: int = 0


class NetworkRequest(Record):
    """What the user asked for, before any driver has looked at it.

    ``network`` is what stands after ``--network`` (``bridge``, ``none``, ``host``, ``container:<full id>``).
    ``conflist`` is the network's CNI configuration as JSON text, empty for pseudo networks. ``netns_path`` is
    the pinned namespace, which core makes before ``setup_network`` when the driver's intent says ``pinned``.
    ``ports`` belong to the first network of a container; an empty tuple on the others.
    """

    container_id: str
    container_name: str
    namespace: str
    network: str
    interface: str
    netns_path: str
    conflist: str = ""
    ports: tuple[PortMapping, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""
    hostname: str = ""


class NetworkIntent(Intent):
    """``namespace`` says which network namespace the container gets.

    ``pinned`` (made and kept by core at ``netns_path``), ``new`` (made by the runtime, gone with the task),
    ``host``, or ``path`` (``join_path``: somebody else's).
    """

    namespace: str = "pinned"
    join_path: str = ""


class NetworkAttachment(Record):
    """What a driver did: what the container, its hosts file and ``inspect`` need to know.

    ``addresses`` are CIDR texts. ``ports`` are the mappings with every host port filled in.
    ``cni_result`` is a CNI 1.0 result as JSON text for nerdctl's ``meta.json``, empty for pseudo networks.
    """

    interface: str
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    mac_address: str = ""
    ports: tuple[PortMapping, ...] = ()
    cni_result: str = ""


class NetworkSpecs(CleanupSpecs):
    """Kind ``network``: the provider is chosen by the driver of the network."""

    @hookspec
    def plan_network(self, request: NetworkRequest, host: Host) -> NetworkIntent:
        """Say what ``setup_network`` would do. Changes nothing.

        The undo token names what will exist, because it is written to disk before ``setup_network`` is called.

        Raises:
            InvalidArgumentError: an address, port or option this driver cannot serve.
        """

    @hookspec
    def setup_network(self, request: NetworkRequest, undo_token: str, host: Host) -> NetworkAttachment:
        """Connect a container's network namespace.

        Called once per container and network, after the namespace exists and before the task starts.

        Raises:
            PyctlError: the user sees the message. ``cleanup`` follows, so leave it to that.
        """
