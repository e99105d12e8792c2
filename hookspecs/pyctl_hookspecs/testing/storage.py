"""Stand-ins for the suites of mounts and snapshotters: a host that keeps what it is told, in a directory and in memory."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyctl_hookspecs.errors import NotFoundError
from pyctl_hookspecs.process_mounts import OciMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class DirectoryVolumes:
    """Volumes as directories; ``labels`` remembers what each was made with."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.labels: dict[str, dict[str, str]] = {}

    def ensure(self, volume_name: str, labels: Mapping[str, str]) -> str:
        path = os.path.join(self._root, volume_name, "_data")
        os.makedirs(path, exist_ok=True)
        self.labels.setdefault(volume_name, dict(labels))
        return path

    def remove(self, volume_name: str) -> None:
        import shutil

        shutil.rmtree(os.path.join(self._root, volume_name), ignore_errors=True)
        self.labels.pop(volume_name, None)


class MemorySnapshots:
    """Snapshots by (snapshotter, key); ``chains`` are the parents that exist."""

    def __init__(self, chains: tuple[str, ...] = ()) -> None:
        self.chains = chains
        self.known: dict[tuple[str, str], str] = {}

    def prepare(self, snapshotter: str, key: str, parent: str, labels: Mapping[str, str]) -> tuple[OciMount, ...]:
        if parent and parent not in self.chains:
            raise NotFoundError("snapshot", parent)
        self.known.setdefault((snapshotter, key), parent)
        return (OciMount(type="bind", source=f"/{snapshotter}/{key}", options=("rbind", "rw")),)

    def remove(self, snapshotter: str, key: str) -> None:
        self.known.pop((snapshotter, key), None)


class StorageHost:
    """What a mount or snapshotter plug-in may ask of core. ``root`` is a directory of the test's own.

    A second ``StorageHost`` on the same directory and snapshots is another process.
    """

    namespace = "suite"
    address = ""

    def __init__(self, root: str, snapshots: MemorySnapshots | None = None) -> None:
        self.data_store = root
        self.runtime_dir = os.path.join(root, "run")
        self.image_root = os.path.join(root, "image")
        os.makedirs(self.image_root, exist_ok=True)
        self.volumes = DirectoryVolumes(os.path.join(root, "volumes"))
        self.snapshots = snapshots if snapshots is not None else MemorySnapshots()

    @contextmanager
    def image_files(self, container_id: str) -> Iterator[str]:
        yield self.image_root

    def cancelled(self) -> bool:
        return False

    def contents(self) -> list[str]:
        """Every path below the root: what planning must not change."""
        return sorted(os.path.join(here, name) for here, names, files in os.walk(self.data_store) for name in (*names, *files))
