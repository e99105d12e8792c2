"""``pyctl network connect`` and ``pyctl network disconnect``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class ConnectOptions(Options):
    alias: tuple[str, ...] = flag("--alias", default=(), help="Add network-scoped alias for the container")
    driver_opt: tuple[str, ...] = flag("--driver-opt", default=(), help="Driver options for the network")
    gw_priority: int = flag(
        "--gw-priority", default=0, help="Highest gw-priority provides the default gateway. Accepts positive and negative values."
    )
    ip: str = flag("--ip", default="", help='IPv4 address (e.g., "172.30.100.104")')
    ip6: str = flag("--ip6", default="", help='IPv6 address (e.g., "2001:db8::33")')
    link: tuple[str, ...] = flag("--link", default=(), help="Add link to another container", is_supported=False)
    link_local_ip: tuple[str, ...] = flag(
        "--link-local-ip", default=(), help="Add a link-local address for the container", is_supported=False
    )
    mac_address: str = flag("--mac-address", default="", help="MAC address of the new interface")


class DisconnectOptions(Options):
    force: bool = flag("-f", "--force", help="Force the container to disconnect from a network")


def connect(settings: Settings, options: ConnectOptions, network: str, container: str) -> None:
    """Connect a container to a network."""
    from pyctl.ops import network_connect as ops
    from pyctl.spec.endpoints import endpoint_of

    asked = endpoint_of(
        network,
        ip=options.ip,
        ip6=options.ip6,
        mac_address=options.mac_address,
        aliases=options.alias,
        gateway_priority=options.gw_priority,
        driver_options=options.driver_opt,
    )
    with session_for(settings) as session:
        ops.connect(session, asked, container)


def disconnect(settings: Settings, options: DisconnectOptions, network: str, container: str) -> None:
    """Disconnect a container from a network."""
    from pyctl.ops import network_connect as ops

    with session_for(settings) as session:
        ops.disconnect(session, network, container, force=options.force)
