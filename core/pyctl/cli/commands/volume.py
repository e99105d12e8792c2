"""``pyctl volume create|ls|inspect|rm|prune``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, echo_batch, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyctl.ops.session import Session
    from pyctl.ops.settings import Settings
    from pyctl.state.volumes import VolumeStore


class CreateOptions(Options):
    driver: str = flag("-d", "--driver", default="local", help="Specify volume driver name")
    label: tuple[str, ...] = flag("--label", default=(), help="Set metadata for a volume")
    opt: tuple[str, ...] = flag("-o", "--opt", default=(), metavar="map", help="Set driver specific options")


class LsOptions(Options):
    filter: tuple[str, ...] = flag(
        "-f", "--filter", default=(), metavar="filter", help='Provide filter values (such as "dangling=true")'
    )
    format: str = flag("--format", default="", help='Format output: "table", "table TEMPLATE", "json" or a Go template')
    quiet: bool = flag("-q", "--quiet", help="Only display volume names")
    size: bool = flag("-s", "--size", help="Display the disk usage of volumes")


class InspectOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    size: bool = flag("-s", "--size", help="Display the disk usage of the volume")


class RmOptions(Options):
    force: bool = flag("-f", "--force", help="Force the removal of one or more volumes")


class PruneOptions(Options):
    all: bool = flag("-a", "--all", help="Remove all unused volumes, not just anonymous ones")
    filter: tuple[str, ...] = flag(
        "--filter", default=(), metavar="filter", help='Provide filter values (such as "label=<label>")'
    )
    force: bool = flag("-f", "--force", help="Do not prompt for confirmation")


def create(settings: Settings, options: CreateOptions, volume: str = "") -> None:
    """Create a volume."""
    from pyctl.ops import volumes as ops

    with session_for(settings) as session:
        echo(ops.create(_store(session), volume, labels=options.label, driver=options.driver, options=options.opt))


def ls(settings: Settings, options: LsOptions) -> None:
    """List volumes."""
    from pyctl.cli.filters import split_filters
    from pyctl.cli.output import rows_volumes
    from pyctl.cli.output.formats import list_text
    from pyctl.ops import volumes as ops

    with session_for(settings) as session:
        found = ops.ls(
            _store(session),
            filters=split_filters(options.filter),
            users=_users(session),
            sizes=options.size or "size" in options.format.lower(),
        )
    if options.quiet:
        for volume in found:
            echo(volume.name)
        return
    columns = (*rows_volumes.COLUMNS, "Size") if options.size else rows_volumes.COLUMNS
    rows = [rows_volumes.volume_row(volume) for volume in found]
    layout = "" if options.format == "wide" else options.format
    sys.stdout.write(list_text(rows, layout, columns, rows_volumes.HEADERS, type_name="volumeContext"))


def inspect(settings: Settings, options: InspectOptions, volumes: tuple[str, ...]) -> int:
    """Display detailed information on one or more volumes."""
    from pyctl.cli.inspecting import report_all
    from pyctl.cli.output.formats import inspect_text
    from pyctl.ops import volumes as ops

    with session_for(settings) as session:
        found, errors = ops.inspect(_store(session), volumes, sizes=options.size)
    objects = [entry.docker() | ({"Size": entry.size_bytes} if options.size else {}) for entry in found]
    sys.stdout.write(inspect_text(objects, options.format))
    return report_all(errors)


def rm(settings: Settings, options: RmOptions, volumes: tuple[str, ...]) -> int:
    """Remove one or more volumes."""
    from pyctl.lifecycle.batch import in_batch
    from pyctl.ops import volumes as ops

    with session_for(settings) as session:
        store, users = _store(session), _users(session)
        return echo_batch(in_batch(lambda name: ops.remove(store, name, users, force=options.force), volumes, limit=1))


def prune(settings: Settings, options: PruneOptions) -> None:
    """Remove unused local volumes."""
    from pyctl.cli.filters import split_filters
    from pyctl.cli.output.units import human_size
    from pyctl.cli.prompt import confirm
    from pyctl.ops import volumes as ops

    which = "all local volumes" if options.all else "anonymous local volumes"
    if not options.force and not confirm(f"This will remove {which} not used by at least one container."):
        return
    with session_for(settings) as session:
        pruned = ops.prune(_store(session), _users(session), every=options.all, filters=split_filters(options.filter))
    if pruned.names:
        echo("Deleted Volumes:\n" + "\n".join(pruned.names) + "\n")
    echo(f"Total reclaimed space: {human_size(pruned.reclaimed_bytes, digits=4)}")


def _store(session: Session) -> VolumeStore:
    from pyctl.state.volumes import VolumeStore

    return VolumeStore(session.paths.data_store, session.namespace)


def _users(session: Session) -> Callable[[], Mapping[str, tuple[str, ...]]]:
    """Who uses which volume, asked of the daemon only when it matters."""
    from pyctl.ops.volumes import volume_users

    return lambda: volume_users((one.container_id, one.labels) for one in session.client.containers.list())
