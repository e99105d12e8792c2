"""``pyctl system status|start|stop|restart|reconcile|restore``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class StatusOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')


def status(settings: Settings, options: StatusOptions) -> int:
    """Show which containerd is used and what state it is in."""
    from pyctl.ops import system as ops

    found = ops.status(settings)
    if options.format:
        import sys

        from pyctl.cli.output.formats import inspect_text
        from pyctl.cli.output.templates.values import Struct, encode

        fields = Struct(found.as_dict())
        sys.stdout.write(encode(fields) + "\n" if options.format == "json" else inspect_text([fields], options.format))
        return 0
    echo(f"system containerd:  {found.system_address} ({'answers' if found.is_system_running else 'nobody answers'})")
    echo(f"managed containerd: {found.address} ({f'running, process {found.pid}' if found.is_running else 'not running'})")
    echo(f"  binary: {found.containerd or 'none found on PATH'}")
    echo(f"  root:   {found.root}")
    echo(f"  log:    {found.log_path}")
    return 0


def start(settings: Settings) -> None:
    """Start the containerd that pyctl manages."""
    from pyctl.ops import system as ops

    echo(ops.start(settings).address)


def stop(settings: Settings) -> None:
    """Stop the containerd that pyctl manages."""
    from pyctl.ops import system as ops

    ops.stop(settings)


def restart(settings: Settings) -> None:
    """Restart the containerd that pyctl manages."""
    from pyctl.ops import system as ops

    echo(ops.restart(settings).address)


def reconcile(settings: Settings) -> None:
    """Undo what interrupted commands left behind."""
    from pyctl.ops import system as ops

    with session_for(settings) as session:
        for line in ops.reconcile(session):
            echo(line)


def restore(settings: Settings) -> int:
    """Bring back the containers that run after a boot."""
    from pyctl.cli.inspecting import report_all
    from pyctl.ops import booting as ops

    failures = []
    with session_for(settings) as session:
        for done in ops.restore(session):
            if isinstance(done, BaseException):
                failures.append(done)
            else:
                echo(done)
    return report_all(failures)
