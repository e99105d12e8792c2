"""``pyctl save``."""

from __future__ import annotations

import os
import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class SaveOptions(Options):
    all_platforms: bool = flag("--all-platforms", help="Save every platform that is here")
    output: str = flag("-o", "--output", default="", help="Write to a file, instead of STDOUT")
    platform: tuple[str, ...] = flag("--platform", default=(), kind="csv", help="Save these platforms (OS/ARCH[/VARIANT])")
    quiet: bool = flag("-q", "--quiet", help="Suppress the save output")


def save(settings: Settings, options: SaveOptions, images: tuple[str, ...]) -> None:
    """Save one or more images to a tar archive (streamed to STDOUT by default)."""
    from pyctl_hookspecs.errors import InvalidArgumentError

    if not options.output and sys.stdout.isatty():
        raise InvalidArgumentError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    with session_for(settings) as session:
        from pyctl.ops import archive_save as ops

        if not options.output:
            ops.save(session, images, sys.stdout.buffer, platforms=options.platform, all_platforms=options.all_platforms)
            return
        path = os.path.realpath(options.output)
        try:
            if os.path.lexists(path) and not os.path.isfile(path):  # a device or a FIFO cannot be replaced
                with open(path, "wb") as stream:
                    ops.save(session, images, stream, platforms=options.platform, all_platforms=options.all_platforms)
            else:
                ops.save_file(session, images, path, platforms=options.platform, all_platforms=options.all_platforms)
        except OSError as error:
            message = f"failed to save image: {options.output}: {(error.strerror or str(error)).lower()}"
            raise InvalidArgumentError(message) from error
