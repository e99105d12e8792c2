"""``process_mounts``: from ``-v``, ``--mount``, ``--tmpfs`` and image volumes to OCI mounts."""

from __future__ import annotations

from pyctl_hookspecs.cleanup import CleanupSpecs
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


class OciMount(Record):
    """A mount of the OCI runtime specification (and of containerd's mount type)."""

    type: str
    source: str
    destination: str = ""
    options: tuple[str, ...] = ()


class MountRequest(Record):
    """One mount, parsed but not looked at.

    ``argument`` is what the user typed, for messages (``-v /data:/data:ro``). ``type`` chooses the provider:
    bind, volume, tmpfs. An empty ``source`` of a volume is an anonymous one; core has chosen its name then
    (``volume_name``). ``options`` are the words after the last colon or the translated ``--mount`` keys.
    """

    container_id: str
    argument: str
    type: str
    source: str
    target: str
    options: tuple[str, ...] = ()
    read_only: bool = False
    propagation: str = ""
    volume_name: str = ""
    is_anonymous: bool = False
    copy_up: bool = True
    create_source: bool = False  # -v makes a missing directory, --mount refuses
    size_bytes: int = 0
    mode: str = ""


class MountOutcome(Record):
    """What goes into the OCI spec, and what ``inspect`` shows. ``mode`` is Docker's Mode text."""

    mount: OciMount
    type: str
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    read_write: bool = True
    propagation: str = ""


class MountSpecs(CleanupSpecs):
    """Kind ``mount``: the provider is chosen by the mount type."""

    @hookspec
    def plan_mount(self, request: MountRequest) -> Intent:
        """Say what ``process_mounts`` would do. Changes nothing.

        Raises:
            InvalidArgumentError: names ``request.argument``.
        """

    @hookspec
    def process_mounts(self, request: MountRequest, undo_token: str, host: Host) -> MountOutcome:
        """Make the source ready and return the OCI mount. Called once per mount, after the snapshot exists.

        Raises:
            PyctlError: names ``request.argument``; ``cleanup`` follows.
        """
