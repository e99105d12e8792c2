"""What our engine is told: as little as possible, and nothing that a system containerd might use too."""

from __future__ import annotations

from pyctl_hookspecs.errors import UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.engine.places import Places

# Kubernetes' API is nobody's business here, its sockets and port neither; NRI would take /run/nri, which is the system's.
_DISABLED = {
    2: ("io.containerd.grpc.v1.cri",),
    3: ("io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"),
}


def major_version(text: str) -> int:
    """The major number in what ``containerd --version`` prints.

    Raises:
        UnsupportedError: no version in there, or one from before 1.6.
    """
    for word in text.split():
        numbers = word.removeprefix("v").split(".")
        if len(numbers) >= 3 and numbers[0].isdigit() and numbers[1].isdigit():
            if (int(numbers[0]), int(numbers[1])) < (1, 6):
                raise UnsupportedError(f"containerd {word} is too old: 1.6 or newer is needed")
            return int(numbers[0])
    raise UnsupportedError(f"cannot tell the version of containerd from {text.strip()!r}")


def render(places: Places, major: int) -> str:
    """The configuration file, in the format this major version prefers."""
    version = 2 if major < 2 else 3
    disabled = ", ".join(_quote(plugin) for plugin in _DISABLED[version])
    return (
        "# Written by pyctl whenever it starts this containerd; changes are lost.\n"
        f"version = {version}\n"
        f"root = {_quote(places.root)}\n"
        f"state = {_quote(places.state)}\n"
        f"disabled_plugins = [{disabled}]\n"
        "\n[grpc]\n"
        f"address = {_quote(places.address)}\n"
        '\n[plugins."io.containerd.internal.v1.opt"]\n'
        f"path = {_quote(places.home + '/opt')}\n"
    )


def _quote(text: str) -> str:
    """A TOML basic string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
