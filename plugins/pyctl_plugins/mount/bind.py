"""``-v /source:/target`` and ``--mount type=bind``: a directory or file of the machine's."""

from __future__ import annotations

from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookimpl
from pyctl_hookspecs.process_mounts import MountOutcome, MountRequest, OciMount


@hookimpl
def plan_mount(request: MountRequest) -> Intent:
    import os

    if not request.create_source and not os.path.lexists(request.source):
        _refuse(request, f"bind source path does not exist: {request.source}")
    # A directory made for -v is the user's from then on, as with Docker: nothing to undo.
    return Intent(says=f"bind {request.source} to {request.target}{' (read-only)' if request.read_only else ''}")


@hookimpl
def process_mounts(request: MountRequest) -> MountOutcome:
    import os

    from pyctl_plugins.mount import _propagation

    if not os.path.lexists(request.source):
        if not request.create_source:
            _refuse(request, f"bind source path does not exist: {request.source}")
        try:
            os.makedirs(request.source, mode=0o755, exist_ok=True)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            _refuse(request, f"error while creating mount source path '{request.source}': mkdir {request.source}: {why}")
    propagation = request.propagation or "rprivate"
    why = _propagation.why_not(request.source, propagation)
    if why:
        _refuse(request, why)
    options = ["bind" if "bind" in request.options else "rbind", propagation]
    if request.read_only:
        options.append(_read_only(request))
    words = [*(["ro"] if request.read_only else []), *request.options]
    return MountOutcome(
        mount=OciMount(type="bind", source=request.source, destination=request.target, options=tuple(options)),
        type="bind",
        source=request.source,
        destination=request.target,
        mode=",".join(words),
        read_write=not request.read_only,
        propagation=propagation,
    )


@hookimpl
def cleanup(undo_token: str) -> None:
    """Nothing was made that is not the user's."""


def _read_only(request: MountRequest) -> str:
    """``ro``, or ``rro`` where something is mounted below: a plain read-only bind would leave that writable."""
    from pyctl_plugins.mount import _propagation

    forced = "ro-forcerecursive" in request.options
    if "ro-nonrecursive" in request.options or "bind" in request.options:
        return "ro"
    if not forced and not _propagation.has_submounts(request.source):
        return "ro"
    if _kernel() >= (5, 12):
        return "rro"
    if forced:
        _refuse(request, "recursive read-only mounts need kernel 5.12 or later")
    return "ro"


def _kernel() -> tuple[int, ...]:
    import os

    numbers = os.uname().release.split("-")[0].split(".")
    return tuple(int(number) for number in numbers[:2] if number.isdecimal())


def _refuse(request: MountRequest, why: str) -> None:
    from pyctl_hookspecs.errors import InvalidArgumentError

    raise InvalidArgumentError(f'invalid mount config for type "bind": {why} ({request.argument})')
