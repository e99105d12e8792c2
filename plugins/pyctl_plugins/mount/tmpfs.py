"""``--tmpfs`` and ``--mount type=tmpfs``: memory that goes with the container."""

from __future__ import annotations

from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookimpl
from pyctl_hookspecs.process_mounts import MountOutcome, MountRequest, OciMount

_DEFAULTS = ("noexec", "nosuid", "nodev")
# Each flag beside the one it takes back.
_OPPOSITES = {
    "exec": "noexec",
    "suid": "nosuid",
    "dev": "nodev",
    "rw": "ro",
    "async": "sync",
    "atime": "noatime",
    "diratime": "nodiratime",
    "relatime": "norelatime",
    "strictatime": "nostrictatime",
}
_FLAGS = frozenset(
    (
        *_OPPOSITES,
        *_OPPOSITES.values(),
        "defaults",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
        "mand",
        "nomand",
    )
)
_KEYS = frozenset(("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"))


@hookimpl
def plan_mount(request: MountRequest) -> Intent:
    words = _options(request)
    size = next((f" of {word[5:]} bytes" for word in words if word.startswith("size=")), "")
    return Intent(says=f"mount a tmpfs{size} at {request.target}")


@hookimpl
def process_mounts(request: MountRequest) -> MountOutcome:
    return MountOutcome(
        mount=OciMount(type="tmpfs", source="tmpfs", destination=request.target, options=_options(request)),
        type="tmpfs",
        destination=request.target,
        mode=",".join(request.options),
        read_write=not request.read_only and "ro" not in request.options,
    )


@hookimpl
def cleanup(undo_token: str) -> None:
    """The memory went with the container."""


def _options(request: MountRequest) -> tuple[str, ...]:
    chosen: dict[str, str] = dict.fromkeys(_DEFAULTS, "")
    for word in request.options:
        key, equals, value = word.partition("=")
        if (key not in _KEYS or not value) if equals else key not in _FLAGS:
            _refuse(request, word)
        if not equals:
            opposite = _OPPOSITES.get(key) or next((on for on, off in _OPPOSITES.items() if off == key), "")
            chosen.pop(opposite, None)
        chosen[key] = value
    chosen.pop("defaults", None)
    if request.size_bytes:
        chosen["size"] = str(request.size_bytes)
    if request.mode:
        chosen["mode"] = request.mode
    if request.read_only:
        chosen["ro"] = ""
    if not any(word.removeprefix("r") in ("private", "shared", "slave") for word in chosen):
        chosen["rprivate"] = ""
    return tuple(f"{key}={value}" if value else key for key, value in chosen.items())


def _refuse(request: MountRequest, word: str) -> None:
    from pyctl_hookspecs.errors import InvalidArgumentError

    raise InvalidArgumentError(f'invalid tmpfs option "{word}" ({request.argument})')
