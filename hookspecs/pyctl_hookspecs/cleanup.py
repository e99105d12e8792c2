"""``cleanup``: the one hook that undoes, shared by every kind that changes the world."""

from __future__ import annotations

from pyctl_hookspecs.markers import hookspec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


class CleanupSpecs:
    """Mixed into the specification of every kind with a doing hook."""

    @hookspec
    def cleanup(self, undo_token: str, host: Host) -> None:
        """Undo what the doing hook of this kind did, knowing only the token.

        May run in another process, after a reboot, twice, or when nothing was ever done: all of these
        succeed. An implementation may leave ``host`` out of its signature.

        Raises:
            PyctlError: something could not be undone; it will be tried again later.
        """
