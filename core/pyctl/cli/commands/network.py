"""``pyctl network create|inspect|ls|prune|repair|rm``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, echo_batch, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class CreateOptions(Options):
    attachable: bool = flag("--attachable", help="Enable manual container attachment")
    aux_address: tuple[str, ...] = flag(
        "--aux-address", default=(), metavar="map", help="Reserve an address no container gets (NAME=IP)"
    )
    config_from: str = flag("--config-from", default="", help="The network to copy the configuration from", is_supported=False)
    config_only: bool = flag("--config-only", help="Create a configuration only network", is_supported=False)
    driver: str = flag("-d", "--driver", default="bridge", help="Driver to manage the network")
    gateway: tuple[str, ...] = flag("--gateway", default=(), metavar="strings", help="Gateway of the subnet that contains it")
    ingress: bool = flag("--ingress", help="Create swarm routing-mesh network", is_supported=False)
    internal: bool = flag("--internal", help="Restrict external access to the network")
    ip_range: tuple[str, ...] = flag(
        "--ip-range", default=(), metavar="strings", help="Allocate container addresses from a part of the subnet (CIDR)"
    )
    ipam_driver: str = flag(
        "--ipam-driver", default="default", choices=("default", "host-local", "dhcp"), help="Who gives out addresses"
    )
    ipam_opt: tuple[str, ...] = flag("--ipam-opt", default=(), metavar="map", help="Set IPAM driver specific options")
    ipv4: bool = flag("--ipv4", default=True, help="Enable IPv4 address assignment")
    ipv6: bool = flag("--ipv6", help="Enable IPv6 address assignment")
    label: tuple[str, ...] = flag("--label", default=(), help="Set metadata on a network")
    opt: tuple[str, ...] = flag("-o", "--opt", default=(), metavar="map", help="Set driver specific options")
    scope: str = flag("--scope", default="", help="Control the network's scope", is_supported=False)
    subnet: tuple[str, ...] = flag("--subnet", default=(), metavar="strings", help="Subnet in CIDR format")


class RmOptions(Options):
    force: bool = flag("-f", "--force", help="Do not error if the network does not exist")


class PruneOptions(Options):
    filter: tuple[str, ...] = flag(
        "--filter", default=(), metavar="filter", help='Provide filter values (such as "until=<timestamp>")'
    )
    force: bool = flag("-f", "--force", help="Do not prompt for confirmation")


class LsOptions(Options):
    filter: tuple[str, ...] = flag(
        "-f", "--filter", default=(), metavar="filter", help='Provide filter values (such as "driver=bridge")'
    )
    format: str = flag("--format", default="", help='Format output: "table", "table TEMPLATE", "json", "wide" or a Go template')
    no_trunc: bool = flag("--no-trunc", help="Do not truncate the output")
    quiet: bool = flag("-q", "--quiet", help="Only display network IDs")


class InspectOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    mode: str = flag("--mode", default="dockercompat", choices=("dockercompat", "native"), help="Shape of the output")
    verbose: bool = flag("-v", "--verbose", help="Verbose output for diagnostics")


def ls(settings: Settings, options: LsOptions) -> None:
    """List networks."""
    from pyctl.cli.filters import filter_pairs
    from pyctl.cli.output import rows_networks
    from pyctl.cli.output.formats import list_text
    from pyctl.ops import networks as ops

    with session_for(settings) as session:
        found = ops.ls(session, filter_pairs(options.filter))
        session.notices += [f"WARNING: {problem}" for problem in ops.problems(session)]
    rows = [rows_networks.network_row(network, truncate=not options.no_trunc) for network in found]
    if options.quiet:
        for row in rows:
            if row["ID"]:  # another tool's has none
                echo(row["ID"])
        return
    is_wide = options.format == "wide"
    columns = rows_networks.WIDE_COLUMNS if is_wide else rows_networks.COLUMNS
    layout = "" if is_wide else options.format
    sys.stdout.write(list_text(rows, layout, columns, rows_networks.HEADERS, type_name="networkContext"))


def inspect(settings: Settings, options: InspectOptions, networks: tuple[str, ...]) -> int:
    """Display detailed information on one or more networks."""
    from pyctl.cli.inspecting import print_objects
    from pyctl.ops import networks as ops

    look = ops.inspect_native if options.mode == "native" else ops.inspect
    with session_for(settings) as session:
        return print_objects(networks, lambda name: look(session, name), options.format)


def create(settings: Settings, options: CreateOptions, network: str) -> None:
    """Create a network."""
    from pyctl.ops.network_create import NetworkWish
    from pyctl.ops.network_create import create as create_network
    from pyctl.state.subnets import SubnetWish

    wish = NetworkWish(
        name=network,
        driver=options.driver,
        subnets=SubnetWish(
            subnets=_items(options.subnet),
            gateways=_items(options.gateway),
            ip_ranges=_items(options.ip_range),
            aux_addresses=options.aux_address,
            is_ipv4=options.ipv4,
            is_ipv6=options.ipv6,
        ),
        is_attachable=options.attachable,
        is_internal=options.internal,
        options=_pairs(options.opt, "opt"),
        labels=_pairs(options.label, "label"),
        ipam_driver=options.ipam_driver,
        ipam_options=_pairs(options.ipam_opt, "ipam-opt"),
    )
    with session_for(settings) as session:
        echo(create_network(session, wish))


def rm(settings: Settings, options: RmOptions, removable_networks: tuple[str, ...]) -> int:
    """Remove one or more networks."""
    from pyctl.lifecycle.batch import in_batch
    from pyctl.ops.network_remove import remove

    with session_for(settings) as session:
        return echo_batch(in_batch(lambda name: remove(session, name, force=options.force), removable_networks, limit=1))


def prune(settings: Settings, options: PruneOptions) -> int:
    """Remove all unused networks."""
    from time import time

    from pyctl.cli.filters import filter_pairs
    from pyctl.cli.inspecting import report_all
    from pyctl.cli.prompt import confirm
    from pyctl.cli.times import parse_moment
    from pyctl.ops import network_remove as ops

    pairs = filter_pairs(options.filter)
    moments = [parse_moment("until", value, time()) for key, value in pairs if key == "until"]
    if not options.force and not confirm("This will remove all custom networks not used by at least one container."):
        return 0
    with session_for(settings) as session:
        removed, errors = ops.prune(
            session,
            [pair for pair in pairs if pair[0] != "until"],
            before_s=min((moment for moment in moments if moment is not None), default=None),
        )
    if removed:
        echo("Deleted Networks:\n" + "\n".join(removed) + "\n")
    return report_all(errors)


def repair(settings: Settings) -> int:
    """Put back what running containers' networks miss, and remove what belongs to no container."""
    from pyctl.cli.inspecting import report_all
    from pyctl.ops.network_repair import repair as repair_networks

    with session_for(settings) as session:
        lines, errors = repair_networks(session)
        for line in lines:
            echo(line)
    return report_all(errors)


def _items(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Docker splits these lists at commas."""
    return tuple(part.strip() for text in texts for part in text.split(","))


def _pairs(texts: tuple[str, ...], flag_name: str) -> tuple[tuple[str, str], ...]:
    """``key=value``; of a key that is given twice the last value counts.

    Raises:
        UsageError: no key.
    """
    from pyctl.cli.flags import UsageError

    found: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if not key:
            raise UsageError(f'invalid argument "{text}" for "--{flag_name}" flag: no key')
        found[key] = value
    return tuple(found.items())
