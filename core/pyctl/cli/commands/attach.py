"""``pyctl attach``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import expect_long_life, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class AttachOptions(Options):
    detach_keys: str = flag("--detach-keys", default="", help="Override the key sequence for detaching a container")
    no_stdin: bool = flag("--no-stdin", help="Do not attach STDIN")
    sig_proxy: bool = flag("--sig-proxy", default=True, help="Proxy all received signals to the process")


def attach(settings: Settings, options: AttachOptions, container: str) -> int:
    """Attach local standard input, output, and error streams to a running container."""
    from pyctl.ops import attach as ops

    expect_long_life()
    with session_for(settings) as session:
        return ops.attach(
            session, container, stdin=not options.no_stdin, sig_proxy=options.sig_proxy, detach_keys=options.detach_keys
        )
