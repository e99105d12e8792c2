"""``pyctl inspect``, ``pyctl container inspect`` and ``pyctl image inspect``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.ops.settings import Settings


class ContainerInspectOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    mode: str = flag("--mode", default="dockercompat", choices=("dockercompat", "native"), help="Shape of the output")
    size: bool = flag("-s", "--size", help="Display total file sizes if the type is container")


class InspectOptions(ContainerInspectOptions):
    # Checked by the operation: a wrong one is Docker's exit status 1, not a flag's 125.
    type: str = flag("--type", default="", help="Only inspect objects of the given type")


class ImageInspectOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    mode: str = flag("--mode", default="dockercompat", choices=("dockercompat", "native"), help="Shape of the output")
    platform: str = flag("--platform", default="", help="Inspect this platform of a multi-platform image")


def inspect(settings: Settings, options: InspectOptions, names: tuple[str, ...]) -> int:
    """Return low-level information on pyctl objects."""
    return _inspect(settings, options, names, options.type)


def container_inspect(settings: Settings, options: ContainerInspectOptions, containers: tuple[str, ...]) -> int:
    """Display detailed information on one or more containers."""
    return _inspect(settings, options, containers, "container")


def _inspect(settings: Settings, options: ContainerInspectOptions, names: tuple[str, ...], kind: str) -> int:
    from pyctl.cli.inspecting import print_objects
    from pyctl.ops import inspecting as ops

    with session_for(settings) as session:

        def look(name: str) -> dict[str, Any]:
            return ops.inspect(session, name, kind=kind, sizes=options.size, native=options.mode == "native")

        return print_objects(names, look, options.format)


def image_inspect(settings: Settings, options: ImageInspectOptions, images: tuple[str, ...]) -> int:
    """Display detailed information on one or more images."""
    from pyctl.cli.inspecting import print_objects
    from pyctl.ops import image_inspect as ops

    look = ops.inspect_native if options.mode == "native" else ops.inspect_image
    with session_for(settings) as session:
        return print_objects(images, lambda name: look(session, name, platform=options.platform), options.format)
