"""``pyctl tag``."""

from __future__ import annotations

from pyctl.cli.sessions import session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


def tag(settings: Settings, source: str, target: str) -> None:
    """Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE."""
    from pyctl.ops import image_removal as ops

    with session_for(settings) as session:
        ops.tag_image(session, source, target)
