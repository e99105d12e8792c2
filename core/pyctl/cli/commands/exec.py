"""``pyctl exec``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import expect_long_life, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class ExecOptions(Options):
    interspersed = False

    detach: bool = flag("-d", "--detach", help="Detached mode: run command in the background")
    detach_keys: str = flag("--detach-keys", default="", help="Override the key sequence for detaching a container")
    env: tuple[str, ...] = flag("-e", "--env", default=(), help="Set environment variables")
    env_file: tuple[str, ...] = flag("--env-file", default=(), kind="csv", help="Read in a file of environment variables")
    interactive: bool = flag("-i", "--interactive", help="Keep STDIN open even if not attached")
    privileged: bool = flag("--privileged", help="Give extended privileges to the command")
    tty: bool = flag("-t", "--tty", help="Allocate a pseudo-TTY")
    user: str = flag("-u", "--user", default="", help='Username or UID (format: "<name|uid>[:<group|gid>]")')
    workdir: str = flag("-w", "--workdir", default="", help="Working directory inside the container")


def exec_(settings: Settings, options: ExecOptions, container: str, command: str, args: tuple[str, ...] = ()) -> int:
    """Execute a command in a running container."""
    from pyctl.ops import execs as ops

    if not options.detach:
        expect_long_life()
    with session_for(settings) as session:
        request = ops.ExecRequest(
            container=container,
            command=(command, *args),
            detach=options.detach,
            detach_keys=options.detach_keys,
            env=options.env,
            env_file=options.env_file,
            interactive=options.interactive,
            privileged=options.privileged,
            tty=options.tty,
            user=options.user,
            workdir=options.workdir,
        )
        return ops.exec_(session, request)
