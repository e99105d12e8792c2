"""Which manifest of an index runs here: platform names and the usual fallbacks."""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError

_MACHINES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "armv8l": "arm/v7",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
    "armv5tel": "arm/v5",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "loongarch64": "loong64",
}
_SYSTEMS = {
    *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux"),
    *("netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos"),
}
_ARCHITECTURES = {
    *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"),
    *("ppc64", "ppc64le", "riscv64", "s390x", "sparc64", "wasm"),
}
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def host_platform() -> str:
    """The platform of this machine, in normal form."""
    import os

    return normalise(f"linux/{os.uname().machine}")


def normalise(platform: str) -> str:
    """``os/arch[/variant]`` in the spelling images use; one word alone is an architecture or a system.

    A word that no system or architecture is called is a platform if it has its place (``linux/mine``): then it is
    up to the image.

    Raises:
        InvalidArgumentError: not a platform; in the words of Docker's engine.
    """
    parts = platform.strip().lower().split("/")
    for part in parts:
        if not part or not _WORD.issuperset(part):
            raise InvalidArgumentError(
                f'"{part}" is an invalid component of "{platform}": '
                'platform specifier component must match "^[A-Za-z0-9_-]+$": invalid argument'
            )
    if len(parts) > 3:
        raise InvalidArgumentError(f'"{platform}": cannot parse platform specifier: invalid argument')
    if len(parts) == 1:
        if parts[0] not in _SYSTEMS and parts[0] not in _ARCHITECTURES and parts[0] not in _MACHINES:
            raise InvalidArgumentError(f'"{platform}": unknown operating system or architecture: invalid argument')
        parts = [parts[0], host_platform().split("/", 1)[1]] if parts[0] in _SYSTEMS else ["linux", parts[0]]
        parts = "/".join(parts).split("/")
    system, *rest = parts
    machine = _MACHINES.get(rest[0])
    if machine is not None and "/" in machine and len(rest) == 1:
        rest = machine.split("/")
    elif machine is not None:
        rest[0] = machine.split("/")[0]
    variant = rest[1] if len(rest) == 2 else ""
    if variant and not variant.startswith("v") and variant.isdigit():
        variant = f"v{variant}"
    if (rest[0], variant) in {("arm64", "v8"), ("amd64", "v1")}:
        variant = ""
    elif rest[0] == "arm" and not variant:
        variant = "v7"
    return "/".join(filter(None, (system, rest[0], variant)))


def acceptable(platform: str) -> tuple[str, ...]:
    """What runs on ``platform`` (normal form), best first: lower variants, then the 32-bit relatives."""
    system, arch, variant = (*platform.split("/"), "")[:3]
    level = int(variant[1:]) if variant[1:].isdigit() else 0
    if arch == "amd64":
        found = [f"amd64/v{n}" for n in range(level or 1, 1, -1)] + ["amd64", "386"]
    elif arch == "arm64":
        found = [f"arm64/v{n}" for n in range(level or 8, 8, -1)] + ["arm64"] + [f"arm/v{n}" for n in range(8, 4, -1)]
    elif arch == "arm":
        found = [f"arm/v{n}" for n in range(level or 7, 4, -1)]
    else:
        found = [f"{arch}/{variant}"] if variant else [arch]
    return tuple(f"{system}/{item}" for item in found)


def rank(offered: str, wanted: str) -> int:
    """How well an offered platform serves the wanted one: 0 is best, -1 not at all."""
    try:
        return acceptable(wanted).index(normalise(offered))
    except (ValueError, InvalidArgumentError):
        return -1
