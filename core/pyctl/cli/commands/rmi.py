"""``pyctl rmi``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class RmiOptions(Options):
    asynchronous: bool = flag("--async", help="Do not wait until what is unused has been collected")
    force: bool = flag("-f", "--force", help="Force removal of the image")
    no_prune: bool = flag("--no-prune", help="Do not delete untagged parents", is_supported=False)
    platform: tuple[str, ...] = flag("--platform", default=(), help="Remove only these platforms", is_supported=False)


def rmi(settings: Settings, options: RmiOptions, images: tuple[str, ...]) -> int:
    """Remove one or more images."""
    from pyctl.cli.inspecting import report_all
    from pyctl.lifecycle.batch import in_batch
    from pyctl.ops import image_removal as ops
    from pyctl_hookspecs.errors import NotFoundError

    errors = []
    with session_for(settings) as session:

        def remove(name: str) -> ops.Removed:
            return ops.remove_image(session, name, force=options.force, sync=not options.asynchronous)

        for _, result in in_batch(remove, images, limit=1):  # two names of one image must not race for its content
            if isinstance(result, Exception):
                errors.append(result)
                continue
            for name in result.untagged:
                echo(f"Untagged: {name}")
            for digest in result.deleted:
                echo(f"Deleted: {digest}")
    code = report_all(errors)
    # As in Docker, --force takes a missing image for a removed one, said in a line.
    return 0 if options.force and all(isinstance(error, NotFoundError) for error in errors) else code
