"""``pyctl inspect``, ``pyctl container inspect`` and ``pyctl image inspect``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctl.ops.session import Session
    from pyctl.ops.settings import Settings

_TYPES = ("container", "image", "network", "volume")


class ContainerInspectOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    mode: str = flag("--mode", default="dockercompat", choices=("dockercompat", "native"), help="Shape of the output")
    size: bool = flag("-s", "--size", help="Display total file sizes if the type is container")


class InspectOptions(ContainerInspectOptions):
    type: str = flag("--type", default="", choices=("", *_TYPES), help="Only inspect objects of the given type")


class ImageInspectOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    mode: str = flag("--mode", default="dockercompat", choices=("dockercompat", "native"), help="Shape of the output")
    platform: str = flag("--platform", default="", help="Inspect this platform of a multi-platform image")


def inspect(settings: Settings, options: InspectOptions, names: tuple[str, ...]) -> int:
    """Return low-level information on pyctl objects."""
    from pyctl.cli.inspecting import print_objects

    kinds = (options.type,) if options.type else _TYPES
    with session_for(settings) as session:
        looks = [_look(session, kind, options) for kind in kinds]
        return print_objects(names, lambda name: _first(name, looks, options.type), options.format)


def container_inspect(settings: Settings, options: ContainerInspectOptions, containers: tuple[str, ...]) -> int:
    """Display detailed information on one or more containers."""
    from pyctl.cli.inspecting import print_objects

    with session_for(settings) as session:
        return print_objects(containers, _look(session, "container", options), options.format)


def image_inspect(settings: Settings, options: ImageInspectOptions, images: tuple[str, ...]) -> int:
    """Display detailed information on one or more images."""
    from pyctl.cli.inspecting import print_objects
    from pyctl.ops import image_inspect as ops

    look = ops.inspect_native if options.mode == "native" else ops.inspect_image
    with session_for(settings) as session:
        return print_objects(images, lambda name: look(session, name, platform=options.platform), options.format)


def _look(session: Session, kind: str, options: ContainerInspectOptions) -> Callable[[str], Any]:
    is_native = options.mode == "native"
    if kind == "container":
        from pyctl.ops import inspect as containers

        if is_native:
            return lambda name: containers.inspect_native(session, name, sizes=options.size)
        return lambda name: containers.inspect(session, name, sizes=options.size)
    if kind == "image":
        from pyctl.ops import image_inspect as images

        look = images.inspect_native if is_native else images.inspect_image
        return lambda name: look(session, name)
    if kind == "network":
        from pyctl.ops import networks

        look_up = networks.inspect_native if is_native else networks.inspect
        return lambda name: look_up(session, name)
    return lambda name: _volume(session, name)


def _volume(session: Session, name: str) -> Any:
    from pyctl.ops import volumes
    from pyctl.state.volumes import VolumeStore

    found, errors = volumes.inspect(VolumeStore(session.paths.data_store, session.namespace), (name,))
    if errors:
        raise errors[0]
    return found[0].docker()


def _first(name: str, looks: list[Callable[[str], Any]], kind: str) -> Any:
    """The first kind of object that has the name, in Docker's order.

    Raises:
        NotFoundError: none has; for one kind in its words, else ``No such object``.
    """
    from pyctl_hookspecs.errors import InvalidArgumentError, NotFoundError

    for look in looks:
        try:
            return look(name)
        except NotFoundError:
            if kind:
                raise
        except InvalidArgumentError:  # a name that cannot be one of this kind may still be one of the next
            if kind:
                raise
    raise NotFoundError("object", name)
