"""``pyctl wait``."""

from __future__ import annotations

from pyctl.cli.sessions import echo, expect_long_life, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


def wait(settings: Settings, containers: tuple[str, ...]) -> int:
    """Block until one or more containers stop, then print their exit codes."""
    from pyctl.ops import containers as ops

    expect_long_life()
    code = 0
    with session_for(settings) as session:
        for _, result in ops.wait(session, containers):
            if isinstance(result, BaseException):
                from pyctl.cli.errors import report

                code = report(result) and 1
            else:
                echo(str(result))
    return code
