"""``pyctl start``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo_batch, expect_long_life, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class StartOptions(Options):
    attach: bool = flag("-a", "--attach", help="Attach STDOUT/STDERR and forward signals")
    checkpoint: str = flag("--checkpoint", default="", help="Restore from this checkpoint", is_supported=False)
    checkpoint_dir: str = flag(
        "--checkpoint-dir", default="", help="Use a custom checkpoint storage directory", is_supported=False
    )
    detach_keys: str = flag("--detach-keys", default="", help="Override the key sequence for detaching a container")
    interactive: bool = flag("-i", "--interactive", help="Attach container's STDIN")


def start(settings: Settings, options: StartOptions, containers: tuple[str, ...]) -> int:
    """Start one or more stopped containers."""
    from pyctl.ops import containers as ops

    with session_for(settings) as session:
        if options.attach or options.interactive:
            if len(containers) > 1:
                from pyctl_hookspecs.errors import InvalidArgumentError

                raise InvalidArgumentError("you cannot start and attach multiple containers at once")
            expect_long_life()
            return ops.start_attached(
                session,
                containers[0],
                attach=options.attach,
                interactive=options.interactive,
                detach_keys=options.detach_keys,
            ).exit_code
        return echo_batch(ops.start(session, containers))
