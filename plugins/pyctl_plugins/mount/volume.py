"""``-v name:/target``, anonymous and image volumes: data that outlives the container."""

from __future__ import annotations

from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookimpl
from pyctl_hookspecs.process_mounts import MountOutcome, MountRequest, OciMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host

_ANONYMOUS = {"nerdctl/anonymous-volumes": ""}


@hookimpl
def plan_mount(request: MountRequest) -> Intent:
    if not request.volume_name:
        from pyctl_hookspecs.errors import InvalidArgumentError

        raise InvalidArgumentError(f"no volume name for {request.argument}")
    access = " (read-only)" if request.read_only else ""
    if request.is_anonymous:
        says = f"mount a new volume at {request.target}{access}"
        return Intent(says=says, undo_token=request.volume_name)
    # A named volume stays, also when the container it was first made for never came to be.
    return Intent(says=f"mount volume {request.volume_name} at {request.target}{access}")


@hookimpl
def process_mounts(request: MountRequest, host: Host) -> MountOutcome:
    labels = dict(_ANONYMOUS) if request.is_anonymous else {}
    for word in request.options:
        if word.startswith("volume-label="):
            key, _, value = word.removeprefix("volume-label=").partition("=")
            labels[key] = value
    source = host.volumes.ensure(request.volume_name, labels)
    if request.copy_up:
        from pyctl_plugins.mount import _copyup

        if _copyup.is_empty(source):
            with host.image_files(request.container_id) as root:
                _copyup.fill(source, root, request.target)
    words = ("ro",) if request.read_only else ()
    options = ("rbind", "rprivate", *words)
    shown = [*words, *(word for word in request.options if word in ("z", "Z"))]
    return MountOutcome(
        mount=OciMount(type="bind", source=source, destination=request.target, options=options),
        type="volume",
        name=request.volume_name,
        source=source,
        destination=request.target,
        driver="local",
        mode=",".join(shown) or "z",
        read_write=not request.read_only,
    )


@hookimpl
def cleanup(undo_token: str, host: Host) -> None:
    if undo_token:
        host.volumes.remove(undo_token)
