"""The volumes of a namespace, on disk as nerdctl keeps them, under nerdctl's lock."""

from __future__ import annotations

import fcntl
import os

from pyctl.state.locks import Lock, is_temporary, lock_directory, write_atomic
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

ANONYMOUS_LABEL = "nerdctl/anonymous-volumes"


class Volume(Record):
    """A volume. ``mountpoint`` is its data directory; ``created_at`` is in seconds since the epoch."""

    name: str
    mountpoint: str
    labels: tuple[tuple[str, str], ...] = ()
    created_at: float = 0.0

    @property
    def is_anonymous(self) -> bool:
        """Made without a name, so ``prune`` may take it."""
        return (ANONYMOUS_LABEL, "") in self.labels


class VolumeStore:
    """``DATASTORE/volumes/<namespace>``; a volume exists when its ``volume.json`` does.

    Every change holds an exclusive flock on the directory. nerdctl holds it for a whole container create, so a call
    may wait for that long. Ours holds a shared flock on each volume's ``volume.json`` meanwhile, which removal waits for:
    ``claims`` collects those that ``ensure`` took, for the caller to release. (The volume's directory is locked by who
    fills it.)
    """

    def __init__(self, data_store: str, namespace: str, claims: list[Lock] | None = None) -> None:
        self._root = os.path.join(data_store, "volumes", namespace)
        self._claims = claims

    def ensure(self, volume_name: str, labels: Mapping[str, str]) -> str:
        """Host path of the volume's data, made if it does not exist yet; the labels of an existing one stay."""
        check_name(volume_name)
        with lock_directory(self._root):
            volume, _ = self._create(volume_name, labels)
            if self._claims is not None:
                self._claims.append(Lock(os.path.join(self._root, volume_name, "volume.json"), shared=True))
            return volume.mountpoint

    def create(self, volume_name: str, labels: Mapping[str, str]) -> tuple[Volume, bool]:
        """The volume, and whether it is new.

        Raises:
            InvalidArgumentError: a name no volume can have.
        """
        check_name(volume_name)
        with lock_directory(self._root):
            return self._create(volume_name, labels)

    def _create(self, volume_name: str, labels: Mapping[str, str]) -> tuple[Volume, bool]:
        found = self._read(volume_name)
        if found is not None:
            os.makedirs(found.mountpoint, mode=0o755, exist_ok=True)
            return found, False
        directory = os.path.join(self._root, volume_name)
        data = os.path.join(directory, "_data")
        is_new = not os.path.isdir(directory)
        import json

        content = json.dumps({"labels": dict(sorted(labels.items())) or None}, indent=4, ensure_ascii=False)
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            # Docker's mode: users of a container other than root may read what root puts there. The data root is 0700.
            os.makedirs(data, mode=0o755, exist_ok=True)
            os.chmod(data, 0o755)
            write_atomic(os.path.join(directory, "volume.json"), content)
        except BaseException:
            if is_new:
                _delete(directory)
            raise
        made = self._read(volume_name)
        assert made is not None  # under our lock, just written
        return made, True

    def get(self, volume_name: str) -> Volume:
        """One volume.

        Raises:
            NotFoundError: ``get X: no such volume``.
        """
        found = self._read(volume_name) if _is_name(volume_name) else None
        if found is None:
            from pyctl_hookspecs.errors import NotFoundError

            raise NotFoundError("volume", volume_name, message=f"get {volume_name}: no such volume")
        return found

    def list(self) -> tuple[Volume, ...]:
        """All volumes, by name; what another process removes meanwhile is left out."""
        try:
            names = sorted(os.listdir(self._root))
        except FileNotFoundError:
            return ()
        found = (self._read(name) for name in names if not is_temporary(name))
        return tuple(volume for volume in found if volume is not None)

    def remove(self, volume_name: str) -> None:
        """Remove a volume; one that is not there counts as removed. Whether it is in use is the caller's question."""
        if not _is_name(volume_name) or not os.path.isdir(self._root):
            return
        with lock_directory(self._root):
            self._doom(volume_name)
        self._sweep()

    def remove_unless(self, volume_name: str, in_use: Callable[[str], bool]) -> bool:
        """Remove a volume unless ``in_use`` says so, asked under the lock; True when it was there and is gone.

        Waits while a container that is to use it is being created: ``in_use`` then knows that one, too.
        """
        if not _is_name(volume_name) or not os.path.isdir(self._root):
            return False
        while True:
            with lock_directory(self._root):
                claimed = self._claimed(volume_name)
                if claimed < 0:
                    if not os.path.isdir(os.path.join(self._root, volume_name)) or in_use(volume_name):
                        return False
                    self._doom(volume_name)
                    break
            try:
                fcntl.flock(claimed, fcntl.LOCK_EX)  # not under our lock: the other one may need it to go on
            finally:
                os.close(claimed)
        self._sweep()
        return True

    def prune(
        self,
        in_use: Callable[[], Container[str]],
        *,
        every: bool = False,
        matches: Callable[[Volume], bool] | None = None,
    ) -> tuple[Volume, ...]:
        """Remove unused volumes, anonymous ones only unless ``every``; returns what was removed.

        ``in_use`` is asked before anything is looked at closely and again under the lock.
        """
        used = in_use()
        wanted = [
            volume
            for volume in self.list()
            if volume.name not in used and (every or volume.is_anonymous) and (matches is None or matches(volume))
        ]
        removed = []
        if wanted:
            with lock_directory(self._root):
                used = in_use()
                for volume in wanted:
                    claimed = self._claimed(volume.name)
                    if claimed >= 0:
                        os.close(claimed)
                    elif volume.name not in used and self._doom(volume.name):
                        removed.append(volume)
            self._sweep()
        return tuple(removed)

    def _claimed(self, volume_name: str) -> int:
        """A descriptor to wait with if somebody is about to use the volume, else -1."""
        try:
            descriptor = os.open(os.path.join(self._root, volume_name, "volume.json"), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return -1
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return descriptor
        os.close(descriptor)
        return -1

    def _doom(self, volume_name: str) -> bool:
        """Out of sight first, in one step: a kill in the middle of deleting leaves no half volume."""
        doomed = os.path.join(self._root, f".tmp-removed-{volume_name}-{os.urandom(4).hex()}")
        try:
            os.rename(os.path.join(self._root, volume_name), doomed)
        except FileNotFoundError:
            return False
        return True

    def _sweep(self) -> None:
        """Delete what is out of sight, without the lock."""
        for name in os.listdir(self._root):
            if name.startswith(".tmp-removed-"):
                _delete(os.path.join(self._root, name))

    def _read(self, volume_name: str) -> Volume | None:
        directory = os.path.join(self._root, volume_name)
        path = os.path.join(directory, "volume.json")
        try:
            with open(path, "rb") as file:
                content, created_at = file.read(), os.fstat(file.fileno()).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None
        import json

        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = None  # a torn file of a foreign writer: the data is still the volume
        labels = parsed.get("labels") if isinstance(parsed, dict) else None
        return Volume(
            name=volume_name,
            mountpoint=os.path.join(directory, "_data"),
            labels=tuple(sorted((str(key), str(value)) for key, value in (labels or {}).items())),
            created_at=created_at,
        )


def _delete(directory: str) -> None:
    """Delete a tree that others may be deleting, too."""
    import shutil  # removal is off every hot path

    while os.path.lexists(directory):
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:
            pass  # somebody else was faster with this entry


def check_name(volume_name: str) -> None:
    """Check a volume's name.

    Raises:
        InvalidArgumentError: Docker's words.
    """
    from pyctl_hookspecs.errors import InvalidArgumentError

    if not _is_name(volume_name):
        raise InvalidArgumentError(
            f'create {volume_name}: "{volume_name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(volume_name) < 2:
        raise InvalidArgumentError(
            f"create {volume_name}: volume name is too short, names should be at least two alphanumeric characters"
        )


def _is_name(text: str) -> bool:
    """Also what keeps a name from leaving the directory: no slash, no leading dot."""
    return text[:1].isalnum() and all(c.isascii() and (c.isalnum() or c in "_.-") for c in text)
