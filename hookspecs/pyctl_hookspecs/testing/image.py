"""The examination of an image provider: subclass, and say which image there is to resolve and which there is not."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyctl_hookspecs.errors import CancelledError, ConflictError, NotFoundError, UnsupportedError
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.references import is_digest
from pyctl_hookspecs.resolve_image import Descriptor, ImageRequest, ImageSpecs, PullProgress, ResolvedImage
from pyctl_hookspecs.testing.calling import hooks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


class MemoryWriter:
    """An ingest of ``MemoryContent``; it outlives its context, as containerd's do."""

    def __init__(self, store: MemoryContent, ref: str, digest: str, size_bytes: int) -> None:
        self._store, self._ref, self._digest, self._size_bytes = store, ref, digest, size_bytes

    @property
    def offset_bytes(self) -> int:
        return len(self._store.ingests.setdefault(self._ref, b""))

    def write(self, chunk: bytes) -> None:
        self._store.ingests[self._ref] += chunk

    def truncate(self) -> None:
        self._store.ingests[self._ref] = b""

    def commit(self, labels: Mapping[str, str]) -> None:
        import hashlib

        body = self._store.ingests[self._ref]
        algorithm = self._digest.partition(":")[0]
        if len(body) != self._size_bytes or f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}" != self._digest:
            raise ConflictError(f"unexpected commit digest or size for {self._digest}")
        self._store.blobs[self._digest] = self._store.ingests.pop(self._ref)
        self._store.label(self._digest, labels)


class MemoryContent:
    """A content store: ``blobs`` and ``labels`` by digest, ``ingests`` by ref."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.ingests: dict[str, bytes] = {}

    def size_bytes(self, digest: str) -> int | None:
        return len(self.blobs[digest]) if digest in self.blobs else None

    def read(self, digest: str) -> bytes:
        if digest not in self.blobs:
            raise NotFoundError("blob", digest)
        return self.blobs[digest]

    @contextmanager
    def writer(self, ref: str, *, digest: str, size_bytes: int) -> Iterator[MemoryWriter]:
        yield MemoryWriter(self, ref, digest, size_bytes)

    def label(self, digest: str, labels: Mapping[str, str]) -> None:
        self.labels.setdefault(digest, {}).update(labels)


class MemoryImages:
    """Names and unpacked layers. ``pull`` stands for what the daemon can pull by itself, if it can."""

    def __init__(self, content: MemoryContent) -> None:
        self._content = content
        self.names: dict[str, Descriptor] = {}
        self.unpacked: list[str] = []
        self.pull: Callable[[str, MemoryContent], Descriptor] | None = None

    def unpack(self, snapshotter: str, config_digest: str, layers: Iterable[Descriptor]) -> str:
        self._content.read(config_digest)
        for layer in layers:
            self._content.read(layer.digest)
            if layer.digest not in self.unpacked:
                self.unpacked.append(layer.digest)
        return "sha256:" + "c" * 64

    def record(self, name: str, target: Descriptor, labels: Mapping[str, str]) -> None:
        self._content.read(target.digest)
        self.names[name] = target

    def server_pull(self, name: str, **_: object) -> Descriptor:
        if self.pull is None:
            raise UnsupportedError("this daemon cannot pull")
        target = self.pull(name, self._content)
        self.names[name] = target
        return target


class ImageHost:
    """What an image provider may ask of core, in memory."""

    namespace = "suite"
    address = ""

    def __init__(self) -> None:
        self.content = MemoryContent()
        self.images = MemoryImages(self.content)
        self.is_cancelled = False

    def cancelled(self) -> bool:
        return self.is_cancelled


class ImageSuite:
    """Needs fixtures ``plugin``, ``image_ref`` (there for this platform) and ``absent_ref`` (not there)."""

    def request(self, image_ref: str, **changes: Any) -> ImageRequest:
        """What to ask for; a provider that needs more (credentials, mirrors) adds it here."""
        return ImageRequest(image_ref=image_ref, snapshotter="overlayfs", **changes)

    def host(self) -> ImageHost:
        """A fresh host; a provider that lets the daemon pull gives it ``images.pull``."""
        return ImageHost()

    def test_planning_asks_nobody_and_is_the_same_twice(self, plugin: object, absent_ref: str) -> None:
        hooks = hooks_of(plugin, ImageSpecs)
        intent = hooks.plan_image(request=self.request(absent_ref))
        assert isinstance(intent, Intent)
        assert intent.says and "\n" not in intent.says
        assert intent == hooks.plan_image(request=self.request(absent_ref))

    def test_a_resolved_image_is_complete_named_and_unpacked(self, plugin: object, image_ref: str) -> None:
        host = self.host()
        image = self._resolve(plugin, image_ref, host)
        assert isinstance(image, ResolvedImage)
        assert image.image_ref == image_ref
        assert host.images.names == {image_ref: image.target}
        for digest in (image.target.digest, image.manifest_digest, image.config_digest):
            assert is_digest(digest)
            assert host.content.size_bytes(digest) is not None
        assert image.chain_id and host.images.unpacked
        assert "/" in image.platform
        assert host.content.ingests == {}

    def test_what_the_manifest_points_at_is_labelled_for_the_collector(self, plugin: object, image_ref: str) -> None:
        host = self.host()
        image = self._resolve(plugin, image_ref, host)
        values = host.content.labels[image.manifest_digest].values()
        assert {image.config_digest, *host.images.unpacked} <= set(values)
        if image.target.digest != image.manifest_digest:
            assert image.manifest_digest in host.content.labels[image.target.digest].values()

    def test_without_unpacking_nothing_is_unpacked(self, plugin: object, image_ref: str) -> None:
        host = self.host()
        assert self._resolve(plugin, image_ref, host, unpack=False).chain_id == ""
        assert host.images.unpacked == []
        assert image_ref in host.images.names

    def test_resolving_again_changes_nothing(self, plugin: object, image_ref: str) -> None:
        host = self.host()
        first = self._resolve(plugin, image_ref, host)
        blobs = set(host.content.blobs)
        assert self._resolve(plugin, image_ref, host) == first
        assert set(host.content.blobs) == blobs

    def test_an_absent_image_is_not_found_and_gets_no_name(self, plugin: object, absent_ref: str) -> None:
        host = self.host()
        try:
            self._resolve(plugin, absent_ref, host)
        except NotFoundError as error:
            assert "\n" not in str(error)
        else:
            raise AssertionError("resolved an image that does not exist")
        assert host.images.names == {}

    def test_progress_names_digests_and_known_states(self, plugin: object, image_ref: str) -> None:
        events: list[PullProgress] = []
        self._resolve(plugin, image_ref, self.host(), progress=events.append)
        for event in events:
            assert is_digest(event.digest)
            assert event.kind in ("index", "manifest", "config", "layer")
            assert event.state in ("waiting", "downloading", "exists", "downloaded", "unpacking", "done")
            assert event.done_bytes <= event.total_bytes or not event.total_bytes

    def test_an_interrupted_resolve_gives_no_name(self, plugin: object, image_ref: str) -> None:
        host = self.host()
        host.is_cancelled = True
        try:
            self._resolve(plugin, image_ref, host)
        except CancelledError:
            assert host.images.names == {}

    def test_cleanup_succeeds_twice_and_on_what_never_happened(self, plugin: object, image_ref: str) -> None:
        hooks = hooks_of(plugin, ImageSpecs)
        token = hooks.plan_image(request=self.request(image_ref)).undo_token
        for _ in range(2):
            hooks.cleanup(undo_token=token, host=self.host())

    def _resolve(self, plugin: object, image_ref: str, host: ImageHost, **changes: Any) -> Any:
        hooks, request = hooks_of(plugin, ImageSpecs), self.request(image_ref, **changes)
        token = hooks.plan_image(request=request).undo_token
        return hooks.resolve_image(request=request, undo_token=token, host=host)
