"""The one small process per data store that outlives commands: logs, exits, restarts, held ports.

Everything but ``client`` and ``install`` runs from a copy below the data root with ``python -I -S``: the
standard library only, relative imports only, and the heavier parts of the standard library left alone.
"""

from __future__ import annotations


def log_uri(data_root: str, data_store: str, *, runtime_dir: str = "/run/pyctl") -> str:
    """The ``binary://`` URI containerd freezes into a container; makes sure that what it names is installed.

    Costs half a millisecond when it is; when it was not, a running keeper of an older build is replaced. The path
    lies outside virtual environments and keeps working after the one that wrote it is gone, as long as some
    ``python3`` is on the machine.
    """
    from .install import install
    from .wire import encode_path, remember_runtime_dir

    program, is_new = install(data_root)
    remember_runtime_dir(data_store, runtime_dir)
    if is_new:
        from .client import renew  # after an upgrade, and the first time

        renew(data_store, runtime_dir, data_root=data_root)
    return f"binary://{encode_path(program)}?_NERDCTL_INTERNAL_LOGGING={encode_path(data_store)}"
