"""``setup_network``: connect a container's network namespace."""

from __future__ import annotations

from pyctl_hookspecs.cleanup import CleanupSpecs
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl_hookspecs.host import Host


class PortMapping(Record):
    """One published port. ``host_port`` 0 means: choose one; ``protocol`` is tcp, udp or sctp.

    With ``host_port_end`` any free port from ``host_port`` to it will do (``-p 8080-8090:80``). Where there is a choice,
    ``last_port`` is what the container had when it ran last: it is taken again if it is free. An empty ``host_ip`` means
    every address of the host, of each family that the network has. In an attachment nothing is open any more:
    ``host_port_end`` and ``last_port`` are 0, ``host_port`` is the one that was taken, and there is one mapping for each family.
    """

    container_port: int
    host_port: int = 0
    protocol: str = "tcp"
    host_ip: str = "0.0.0.0"
    host_port_end: int = 0
    last_port: int = 0


class NetworkRequest(Record):
    """What the user asked for, before any driver has looked at it.

    ``network`` is what stands after ``--network`` (``bridge``, ``none``, ``host``, ``container:<full id>``).
    ``conflist`` is the network's CNI configuration as JSON text, empty for pseudo networks. ``netns_path`` is
    the pinned namespace, which core makes before ``setup_network`` when the driver's intent says ``pinned``.
    ``ports`` belong to the first network of a container; an empty tuple on the others. ``aliases`` are more names
    for its peers on this network; core enters them, a driver need not.
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
    aliases: tuple[str, ...] = ()


class NetworkIntent(Intent):
    """``namespace`` says which network namespace the container gets.

    ``pinned`` (made and kept by core at ``netns_path``), ``new`` (made by the runtime, gone with the task),
    ``host``, or ``path`` (``join_path``: somebody else's).
    """

    namespace: str = "pinned"
    join_path: str = ""


class NetworkAttachment(Record):
    """What a driver did: what the container, its hosts file and ``inspect`` need to know.

    ``addresses`` are CIDR texts. ``gateway`` is the IPv4 one, or IPv6's if there is no other; ``gateway6`` is always IPv6's.
    ``ports`` are the mappings with every host port filled in.
    ``cni_result`` is a CNI 1.0 result as JSON text for nerdctl's ``meta.json``, empty for pseudo networks.
    """

    interface: str
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    mac_address: str = ""
    ports: tuple[PortMapping, ...] = ()
    cni_result: str = ""
    gateway6: str = ""


class NetworkSubnet(Record):
    """One subnet of a network to be created, as canonical CIDR text; ``aux_addresses`` pairs names with addresses that
    no container may get. Core has settled and checked all of it; ``ip_range`` is empty when the whole subnet serves.
    """

    subnet: str
    gateway: str
    ip_range: str = ""
    aux_addresses: tuple[tuple[str, str], ...] = ()


class NetworkDefinition(Record):
    """A network that is about to be created. ``options`` are those of ``-o``, ``ipam_options`` of ``--ipam-opt``.

    ``ipam_driver`` is ``default``, ``host-local`` or ``dhcp``; there are no ``subnets`` for ``dhcp``.
    """

    name: str
    network_id: str
    namespace: str
    subnets: tuple[NetworkSubnet, ...] = ()
    is_internal: bool = False
    options: tuple[tuple[str, str], ...] = ()
    ipam_driver: str = "default"
    ipam_options: tuple[tuple[str, str], ...] = ()


class ConnectedNetwork(Record):
    """A container's connection as it should be now: what was asked, and what the driver then reported."""

    request: NetworkRequest
    undo_token: str
    attachment: NetworkAttachment


class NetworkSpecs(CleanupSpecs):
    """Kind ``network``: the provider is chosen by the driver of the network.

    Networks are CNI configurations on disk. One whose labels name no driver is carried out by ``bridge`` when it is
    the well-known chain (bridge, portmap, firewall, tuning), by ``cni`` otherwise. A plug-in may implement
    ``compose_network`` alone: then ``cni`` connects what it composed.
    """

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

    @hookspec
    def compose_network(self, definition: NetworkDefinition, host: Host) -> str:
        """The ``plugins`` of the network's CNI configuration, as the JSON text of a list. Changes nothing.

        A driver without this hook has no networks to create. Core adds name, version, ID and labels, connects a
        container once to see whether it works, and writes the file.

        Raises:
            InvalidArgumentError: an option, subnet or combination this driver cannot serve.
        """

    @hookspec
    def remove_network(self, network: str, conflist: str, host: Host) -> None:
        """Take away what the network as a whole has on this host (a link, rules, a pool of addresses).

        Nobody is connected any more. Called again, or when there is nothing, it succeeds. Optional.
        """

    @hookspec
    def detach_network(self, request: NetworkRequest, undo_token: str, host: Host) -> None:
        """Take the interface out of a namespace that lives on; ``cleanup`` of the token follows.

        An interface that is gone counts as taken out. A driver without this hook cannot disconnect a running container.
        """

    @hookspec
    def repair_networks(
        self, connected: tuple[ConnectedNetwork, ...], is_alive: Callable[[str], bool], host: Host
    ) -> tuple[str, ...]:
        """Put back what somebody took away from these connections, and take away what belongs to nobody.

        ``connected`` are the running containers of this containerd namespace that this driver serves. A leftover
        may be taken away only if ``is_alive`` (given a container ID) denies it *after* the leftover was seen: a
        container that is just starting is alive. What belongs to other namespaces or tools is left alone.
        Returns one phrase for each repair ("published 0.0.0.0:8080/tcp of web again"). Optional.
        """
