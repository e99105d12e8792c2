"""Container names: one file per name, holding the ID of its owner (interop facts, section 2.4)."""

from __future__ import annotations

import os

from pyctl.state.locks import is_temporary, lock_directory, read_whole, sweep, write_atomic
from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError


def check_name(name: str) -> None:
    """Refuse what Docker refuses.

    Raises:
        InvalidArgumentError: not two or more of ``[a-zA-Z0-9][a-zA-Z0-9_.-]``.
    """
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    if len(name) < 2 or name[0] in "_.-" or not set(name) <= allowed:
        raise InvalidArgumentError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


class NameStore:
    """The names of one namespace; every change holds the flock on its directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def acquire(self, name: str, container_id: str) -> None:
        """Take a name for a container; taking one's own again is a success.

        Raises:
            ConflictError: another container has it; Docker's words.
        """
        with lock_directory(self._directory):
            owner = self.owner(name)
            if owner and owner != container_id:
                raise ConflictError(
                    f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                )
            write_atomic(f"{self._directory}/{name}", container_id, durable=False)

    def release(self, name: str, container_id: str) -> None:
        """Give a name up, or another one that the container has since nerdctl renamed it; none counts as released."""
        with lock_directory(self._directory):
            if self.owner(name) == container_id:
                os.unlink(f"{self._directory}/{name}")
                return
            for other in os.listdir(self._directory):
                if not is_temporary(other) and self.owner(other) == container_id:
                    os.unlink(f"{self._directory}/{other}")

    def owner(self, name: str) -> str:
        """The ID of the container that has a name; empty if none has."""
        return (read_whole(f"{self._directory}/{name}") or b"").decode("ascii")

    def sweep(self) -> None:
        """Remove what a writer that was killed left half-written."""
        sweep(self._directory)

    def all(self) -> dict[str, str]:
        """Container ID by name."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return {}
        return {name: self.owner(name) for name in names if not is_temporary(name)}
