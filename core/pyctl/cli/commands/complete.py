"""``pyctl __complete``: what completion scripts ask."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctl.ops.session import Session
    from pyctl.ops.settings import Settings

_FIXED = {
    "formats": ("json", "table"),
    "log-drivers": ("json-file", "none"),
    "restarts": ("no", "always", "on-failure", "unless-stopped"),
    "shells": ("bash", "zsh", "fish"),
    "snapshotters": ("overlayfs", "native"),
}


class CompleteOptions(Options):
    interspersed = False

    no_descriptions: bool = flag("--no-descriptions", help="Names only")


def complete(settings: Settings, options: CompleteOptions, words: tuple[str, ...] = ()) -> None:
    """Print what could come next, one per line with a tab before its explanation; ``:files`` says that files fit too."""
    from pyctl.cli.completing import candidates

    for name, text in candidates(words, _names(settings)):
        sys.stdout.write(f"{name}\t{text}\n" if text and not options.no_descriptions else f"{name}\n")


def _names(settings: Settings) -> Callable[[str], Sequence[str]]:
    from pyctl_hookspecs.errors import PyctlError

    def names(kind: str) -> Sequence[str]:
        if kind in _FIXED:
            return _FIXED[kind]
        try:
            session = _quiet_session(settings)
            return () if session is None else sorted(_LOOKS[kind](session))
        except PyctlError:
            return ()  # a key press is no place for an error message

    return names


def _quiet_session(settings: Settings) -> Session | None:
    """A session on a daemon that runs; a key press must not start one."""
    import os

    from pyctl.ops.session import Session

    if not os.path.exists(settings.address):
        if settings.is_address_explicit:
            return None
        from pyctl.engine.places import places

        settings = settings.replace(address=places(settings).address)
        if not os.path.exists(settings.address):
            return None
    return Session(settings)


def _images(session: Session) -> Sequence[str]:
    from pyctl_hookspecs.references import familiar

    return [familiar(image.name) for image in session.client.images.list() if "@sha256:" not in image.name]


def _volumes(session: Session) -> Sequence[str]:
    from pyctl.state.volumes import VolumeStore

    return [volume.name for volume in VolumeStore(session.paths.data_store, session.namespace).list()]


def _networks(session: Session) -> Sequence[str]:
    from pyctl.ops import networks

    return networks.names(session)


def _removable_networks(session: Session) -> Sequence[str]:
    return [name for name in _networks(session) if name not in ("bridge", "host", "none")]


# Names of containers are files: no daemon is asked for them.
_LOOKS: dict[str, Callable[[Session], Sequence[str]]] = {
    "containers": lambda session: list(session.names.all()),
    "images": _images,
    "networks": _networks,
    "removable-networks": _removable_networks,
    "volumes": _volumes,
}
