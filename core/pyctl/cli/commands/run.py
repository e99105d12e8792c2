"""``pyctl run`` and ``pyctl create``."""

from __future__ import annotations

import sys

from pyctl.cli.container_options import CreateOptions, RunOptions, container_options
from pyctl.cli.sessions import echo, expect_long_life, pull_progress, session_for, show_notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.session import Session
    from pyctl.ops.settings import Settings
    from pyctl.spec.options import ContainerOptions


def run(settings: Settings, options: RunOptions, image: str, command: tuple[str, ...] = ()) -> int:
    """Create and run a new container from an image."""
    from pyctl.ops import run as ops

    asked = container_options(options, image, command)
    if not options.detach:
        expect_long_life()
    with session_for(settings) as session:
        if options.dry_run:
            return _show_plan(session, asked, options.dry_run, start=True)
        with pull_progress(session, "quiet" if options.quiet else "auto", sys.stderr) as progress:
            result = ops.run(session, asked, progress)
        show_notices(session)
        if options.detach:
            echo(result.container_id)
        return result.exit_code


def create(settings: Settings, options: CreateOptions, image: str, command: tuple[str, ...] = ()) -> int:
    """Create a new container."""
    from pyctl.ops import run as ops

    asked = container_options(options, image, command)
    with session_for(settings) as session:
        if options.dry_run:
            return _show_plan(session, asked, options.dry_run, start=False)
        with pull_progress(session, "quiet" if options.quiet else "auto", sys.stderr) as progress:
            result = ops.create(session, asked, progress)
        show_notices(session)
        echo(result.container_id)
    return 0


def _show_plan(session: Session, asked: ContainerOptions, style: str, *, start: bool) -> int:
    from pyctl.cli.output.plans import plan_text
    from pyctl.ops import run as ops

    echo(plan_text(ops.plan_run(session, asked, start=start), style))
    return 0
