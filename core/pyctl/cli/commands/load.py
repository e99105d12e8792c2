"""``pyctl load``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from pyctl.ops.archive import Loaded
    from pyctl.ops.settings import Settings


class LoadOptions(Options):
    all_platforms: bool = flag("--all-platforms", help="Load every platform of the images")
    input: str = flag("-i", "--input", default="", help="Read from tar archive file, instead of STDIN")
    platform: tuple[str, ...] = flag("--platform", default=(), kind="csv", help="Load these platforms (OS/ARCH[/VARIANT])")
    quiet: bool = flag("-q", "--quiet", help="Suppress the load output")


def load(settings: Settings, options: LoadOptions) -> None:
    """Load an image from a tar archive or STDIN."""
    from pyctl.ops import archive as ops

    with _open(options.input) as stream, session_for(settings) as session:
        found = ops.load(session, stream, platforms=options.platform, all_platforms=options.all_platforms)
    _print(found)


def _print(found: Sequence[Loaded]) -> None:
    from pyctl_hookspecs.references import familiar

    for image in found:
        echo(f"Loaded image: {familiar(image.name)}" if image.name else f"Loaded image ID: {image.digest}")


def _open(path: str) -> IO[bytes]:
    from pyctl_hookspecs.errors import InvalidArgumentError

    if path:
        try:
            return open(path, "rb")
        except OSError as error:
            raise InvalidArgumentError(f"open {path}: {(error.strerror or '').lower()}") from error
    if sys.stdin.isatty():
        raise InvalidArgumentError("requested load from stdin, but stdin is empty")
    return sys.stdin.buffer
