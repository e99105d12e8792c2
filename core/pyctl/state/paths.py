"""Where things are below the data root; the layout is nerdctl's (interop facts, section 2)."""

from __future__ import annotations

import os

from pyctl_hookspecs.records import Record

_KNOWN_HASHES = {"/run/containerd/containerd.sock": "1935db59"}  # where nearly every daemon is


def address_hash(address: str) -> str:
    """First 8 hex digits of SHA-256 of the socket path with all symbolic links resolved.

    Raises:
        FileNotFoundError: the socket does not exist.
    """
    resolved = os.path.realpath(address.removeprefix("unix://"), strict=True)
    if resolved in _KNOWN_HASHES:
        return _KNOWN_HASHES[resolved]
    import hashlib  # 3 ms: it loads OpenSSL

    return hashlib.sha256(resolved.encode()).hexdigest()[:8]


class StatePaths(Record):
    """Paths of one data store and one containerd namespace. ``runtime_dir`` is emptied by a reboot."""

    data_root: str
    data_store: str
    namespace: str
    runtime_dir: str

    @property
    def containers(self) -> str:
        return f"{self.data_store}/containers/{self.namespace}"

    @property
    def names(self) -> str:
        return f"{self.data_store}/names/{self.namespace}"

    @property
    def etchosts(self) -> str:
        return f"{self.data_store}/etchosts/{self.namespace}"

    def state_dir(self, container_id: str) -> str:
        return f"{self.containers}/{container_id}"

    def netns(self, container_id: str) -> str:
        """Where the container's network namespace is pinned."""
        return f"{self.runtime_dir}/netns/{self.namespace}-{container_id}"

    def fifo_dir(self, container_id: str) -> str:
        return f"{self.runtime_dir}/fifo/{self.namespace}-{container_id}"


def check_namespace(namespace: str) -> None:
    """Refuse a containerd namespace that cannot be a directory name.

    Raises:
        InvalidArgumentError: empty, too long, or with a slash.
    """
    if namespace in ("", ".", "..") or "/" in namespace or "\0" in namespace or len(namespace.encode()) > 255:
        from pyctl_hookspecs.errors import InvalidArgumentError

        raise InvalidArgumentError(f"invalid containerd namespace {namespace!r}")
