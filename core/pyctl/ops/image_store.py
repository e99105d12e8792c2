"""What image plug-ins may do with containerd: write blobs, unpack layers, name images (``host.Content``, ``host.Images``).

Under a lease, everything that exists already is put under it before it is relied on: another command's
clean-up may otherwise collect it in the middle of a pull.
"""

from __future__ import annotations

from pyctl.containerd.errors import AlreadyExistsError
from pyctl_hookspecs.errors import ConflictError, NotFoundError, PyctlError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pyctl.containerd.client import Client
    from pyctl_hookspecs.host import ContentWriter
    from pyctl_hookspecs.resolve_image import Descriptor, PullProgress

_SOURCE = "containerd.io/distribution.source."
UNCOMPRESSED = "containerd.io/uncompressed"
SNAPSHOT_REF = "containerd.io/gc.ref.snapshot."


def chain_id(parent: str, diff_id: str) -> str:
    """The snapshot name of a layer on top of ``parent`` (empty at the bottom), as the OCI image specification has it."""
    if not parent:
        return diff_id
    from hashlib import sha256

    return "sha256:" + sha256(f"{parent} {diff_id}".encode()).hexdigest()


class ContentStore:
    """``host.content``."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def size_bytes(self, digest: str) -> int | None:
        _hold(self._client, "content", digest)
        return self._client.content.size_bytes(digest)

    def read(self, digest: str) -> bytes:
        return self._client.content.read(digest)

    def writer(self, ref: str, *, digest: str, size_bytes: int) -> AbstractContextManager[ContentWriter]:
        return self._client.content.writer(ref, digest=digest, size_bytes=size_bytes)

    def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Add or replace labels; repositories a blob can be had from are added to those known already.

        Raises:
            NotFoundError: no such blob.
        """
        known = self._client.content.info(digest).labels
        changed = {}
        for name, value in labels.items():
            old = known.get(name, "")
            is_list = name.startswith(_SOURCE) and old
            wanted = value if not is_list else old if value in old.split(",") else f"{old},{value}"
            if wanted != old:
                changed[name] = wanted
        if changed:
            self._client.content.update_labels(digest, changed)


class ImageStore:
    """``host.images``. With ``lock_dir``, several commands that unpack one layer wait for the first of them."""

    def __init__(self, client: Client, lock_dir: str = "") -> None:
        self._client, self._lock_dir = client, lock_dir

    def unpack(self, snapshotter: str, config_digest: str, layers: Iterable[Descriptor]) -> str:
        """Unpack layers in order, each as soon as the iterable yields it; return the top chain ID.

        What is unpacked already stays. Several unpackers of one image at a time are fine: the first to finish a
        layer wins, the others drop theirs.

        Raises:
            PyctlError: a layer is not what the configuration says, or the daemon cannot unpack it (no space).
        """
        diff_ids = self._diff_ids(config_digest)
        chain, count = "", 0
        for layer in layers:
            if count == len(diff_ids):
                break
            parent, chain = chain, chain_id(chain, diff_ids[count])
            count += 1
            if not self._has(snapshotter, chain):
                self._apply_once(snapshotter, layer, parent, chain, diff_ids[count - 1])
        if count != len(diff_ids):
            raise PyctlError(f"image {config_digest}: the configuration names {len(diff_ids)} layers, the manifest has {count}")
        if chain:
            self._client.content.update_labels(config_digest, {SNAPSHOT_REF + snapshotter: chain})
        return chain

    def record(self, name: str, target: Descriptor, labels: Mapping[str, str]) -> None:
        from pyctl.containerd.records import Image

        image = Image(name=name, target=target, labels=labels)
        fields = ["target", *(f"labels.{label}" for label in labels)]
        while True:
            try:
                self._client.images.create(image)
                return
            except AlreadyExistsError:
                pass
            try:
                self._client.images.update(image, fields)
                return
            except NotFoundError:
                continue  # removed in between: create it after all

    def server_pull(
        self,
        name: str,
        *,
        platforms: tuple[str, ...],
        snapshotter: str,
        hosts_dir: str,
        plain_http: bool,
        credentials: Callable[[str], tuple[str, str]],
        progress: Callable[[PullProgress], None],
    ) -> Descriptor:
        hint = "the provider that can is called registry (configuration: [image] provider)"
        if plain_http or hosts_dir:
            version = self._client.version()[0]
            if version.startswith("1.7"):  # it knows neither field of the request, and would ask the registry itself by https
                message = (
                    f"containerd {version} cannot pull by itself over plain http or as hosts.toml says, only 2.0 and later can"
                )
                raise UnsupportedError(message, hint=hint)
        try:
            self._client.transfer(
                name,
                platforms=platforms,
                snapshotter=snapshotter,
                hosts_dir=hosts_dir,
                plain_http=plain_http,
                credentials=credentials,
                progress=progress,
            )
        except UnsupportedError as error:
            raise UnsupportedError("this containerd cannot pull by itself, only 1.7 and later can", hint=hint) from error
        return self._client.images.get(name).target

    def _diff_ids(self, config_digest: str) -> Sequence[str]:
        from json import loads

        try:
            diff_ids = loads(self._client.content.read(config_digest))["rootfs"]["diff_ids"]
        except (ValueError, KeyError, TypeError) as error:
            raise PyctlError(f"image configuration {config_digest} names no layers") from error
        if not isinstance(diff_ids, list) or not all(isinstance(diff_id, str) for diff_id in diff_ids):
            raise PyctlError(f"image configuration {config_digest} is malformed")
        return diff_ids

    def _has(self, snapshotter: str, chain: str) -> bool:
        _hold(self._client, f"snapshots/{snapshotter}", chain)
        try:
            self._client.snapshots.stat(snapshotter, chain)
        except NotFoundError:
            return False
        return True

    def _apply_once(self, snapshotter: str, layer: Descriptor, parent: str, chain: str, diff_id: str) -> None:
        if not self._lock_dir:
            self._apply(snapshotter, layer, parent, chain, diff_id)
            return
        import os

        from pyctl.state.locks import Lock

        os.makedirs(self._lock_dir, mode=0o700, exist_ok=True)
        # A few locks for all layers: files named after layers would gather, and removing a lock file is a race.
        with Lock(f"{self._lock_dir}/.{chain.partition(':')[2][:2]}.lock"):
            if not self._has(snapshotter, chain):
                self._apply(snapshotter, layer, parent, chain, diff_id)

    def _apply(self, snapshotter: str, layer: Descriptor, parent: str, chain: str, diff_id: str) -> None:
        import os
        from time import time_ns

        # The reference label lets a remote snapshotter answer "I have that one" instead of unpacking.
        labels = {"containerd.io/snapshot.ref": chain}
        while True:
            key = f"extract-{time_ns()}-{os.urandom(3).hex()} {chain}"
            try:
                mounts = self._client.snapshots.prepare(snapshotter, key, parent, labels)
                break
            except AlreadyExistsError:
                if self._has(snapshotter, chain):
                    return
        is_done = False
        try:
            applied = self._client.diff.apply(layer, mounts)
            if applied.digest != diff_id:
                raise PyctlError(f"layer {layer.digest} unpacks to {applied.digest}, but the image says {diff_id}")
            self._client.snapshots.commit(snapshotter, chain, key, labels)
            is_done = True
        except AlreadyExistsError:
            _hold(self._client, f"snapshots/{snapshotter}", chain)
        finally:
            if not is_done:
                try:
                    self._client.snapshots.remove(snapshotter, key)
                except (NotFoundError, ConflictError):
                    pass
        self._client.content.update_labels(layer.digest, {UNCOMPRESSED: diff_id})


def _hold(client: Client, resource_type: str, name: str) -> None:
    """Put what may exist already under the client's lease, if it has one."""
    if client.lease_id:
        from pyctl.containerd.records import LeaseResource

        client.leases.add_resource(client.lease_id, LeaseResource(type=resource_type, resource_id=name))
