"""The copy of the keeper below the data root, and the log binary containerd's shims start.

``DATAROOT/bin/pyctl-log`` is a few lines of shell around ``DATAROOT/bin/keeper-<build>/pyctl_keeper``: nothing in
it points into a virtual environment unless there is no interpreter outside one.
"""

from __future__ import annotations

import os
import sys

from .wire import BOOT, write_file

MODULES = (
    "__init__", "audience", "children", "connections", "directory", "dns", "dnsforward", "dnslisten", "dnswire",
    "foreign", "guard", "jsonlines", "logbin", "logs", "loop", "names", "notes", "ports", "server", "spool", "watches", "wire",
)  # fmt: skip
REVISION = 1  # raise it when an older release must not put its own copy back


def install(data_root: str) -> tuple[str, bool]:
    """Path of the log binary, and whether it was written just now: it was missing, damaged or of another build."""
    program = f"{data_root}/bin/pyctl-log"
    build, sources = _build()
    stamp = f"# build {REVISION} {build}\n"
    installed = _stamp(program)
    if installed == stamp and os.path.exists(f"{data_root}/bin/keeper-{build}/pyctl_keeper/complete"):
        return program, False
    if installed and int(installed.split()[2]) > REVISION:
        return program, False
    _copy(data_root, f"{data_root}/bin/keeper-{build}/pyctl_keeper", sources)
    write_file(program, _script(data_root, build, stamp).encode(), 0o755)
    _prune(data_root, keep={f"keeper-{build}", f"keeper-{installed.split()[3]}" if installed else ""})
    return program, True


def code_dir(data_root: str) -> str:
    """Where the installed copy lies, for starting the keeper."""
    install(data_root)
    return f"{data_root}/bin/keeper-{_stamp(f'{data_root}/bin/pyctl-log').split()[3]}"


def interpreter() -> str:
    """A Python for the copy: the one a virtual environment was made from, because that outlives it."""
    base: str = getattr(sys, "_base_executable", "") or sys.executable
    return base


def _build() -> tuple[str, dict[str, bytes]]:
    from binascii import crc32

    here = os.path.dirname(__file__)
    sources = {}
    total = 0
    for name in MODULES:
        with open(f"{here}/{name}.py", "rb") as file:
            sources[name] = file.read()
        total = crc32(sources[name], total)
    return f"{total:08x}", sources


def _stamp(program: str) -> str:
    """The second line of an installed log binary, or nothing when there is none we know."""
    try:
        with open(program) as file:
            file.readline()
            stamp = file.readline()
    except FileNotFoundError:
        return ""
    words = stamp.split()
    return stamp if len(words) == 4 and words[:2] == ["#", "build"] and words[2].isdigit() else ""


def _copy(data_root: str, target: str, sources: dict[str, bytes]) -> None:
    os.makedirs(data_root, mode=0o700, exist_ok=True)  # nobody else may look into it: what is below need not care
    os.makedirs(target, mode=0o700, exist_ok=True)
    for name, source in sources.items():
        write_file(f"{target}/{name}.py", source)
    write_file(f"{target}/complete", b"")


def _script(data_root: str, build: str, stamp: str) -> str:
    """The shim starts this without PATH; TERM is ignored from here on: the log ends when the pipes do.

    Without any interpreter the container still must not stall on a full pipe: its output is thrown away.
    """
    boot = BOOT.format(module="logbin")
    program = quote(f"{data_root}/bin/pyctl-log")
    start = f"-I -S -c {quote(boot)} pyctl-log {quote(f'{data_root}/bin/keeper-{build}')} {program} {quote(data_root)}"
    return (
        f"#!/bin/sh\n{stamp}trap '' TERM\n"
        f"for python in {quote(interpreter())} /usr/bin/python3 /usr/local/bin/python3 /bin/python3; do\n"
        f'  [ -x "$python" ] && exec "$python" {start} "$python" "$@"\n'
        f"done\nexec 5>&-\ncd /\n/bin/cat <&3 >/dev/null &\nexec /bin/cat <&4 >/dev/null\n"
    )


def quote(text: str) -> str:
    """One word for ``/bin/sh``."""
    return "'" + text.replace("'", "'\\''") + "'"


def _prune(data_root: str, keep: set[str]) -> None:
    """Remove older copies; the one just replaced stays for processes that are starting from it."""
    for name in os.listdir(f"{data_root}/bin"):
        if name.startswith("keeper-") and name not in keep:
            import shutil  # only after an upgrade

            shutil.rmtree(f"{data_root}/bin/{name}", ignore_errors=True)
