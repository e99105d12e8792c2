"""Image provider ``registry``: pull from an OCI registry, layer by layer, unpacking beside the download."""

from __future__ import annotations

from pyctl_hookspecs import Descriptor, ImageRequest, Intent, NotFoundError, ResolvedImage, UnsupportedError, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Thread

    from pyctl_hookspecs import Host
    from pyctl_hookspecs.manifests import Index, Manifest
    from pyctl_hookspecs.references import Reference
    from pyctl_plugins.image._fetch import Repository, Watch


@hookimpl
def plan_image(request: ImageRequest) -> Intent:
    late = ("digest", "size")
    return Intent(says=f"pull {request.image_ref} into the {request.snapshotter} snapshotter", late=late)


@hookimpl
def resolve_image(request: ImageRequest, undo_token: str, host: Host) -> ResolvedImage:
    from pyctl_hookspecs import references
    from pyctl_plugins.image import _fetch

    reference = references.normalise(request.image_ref)
    watch = _fetch.Watch(host, request.progress)
    repository = _fetch.open_repository(
        reference,
        hosts_dirs=request.hosts_dirs,
        insecure=request.insecure_registry,
        docker_config_dir=request.docker_config_dir,
        connections=request.parallel_layers + 1,
        stop=watch.stop,
    )
    try:
        return _Pull(request, reference, repository, host, watch).run()
    finally:
        watch.stop.set()
        repository.close()


@hookimpl
def cleanup(undo_token: str) -> None:
    """Nothing to undo: what was fetched is content-addressed, and containerd collects what no lease or name holds."""


class _Pull:
    """One pull; every method raises what ``resolve_image`` may raise."""

    def __init__(self, request: ImageRequest, reference: Reference, repository: Repository, host: Host, watch: Watch) -> None:
        self._request = request
        self._repository = repository
        self._reference = reference
        self._host = host
        self._watch = watch
        self._source = {f"containerd.io/distribution.source.{reference.domain}": reference.path}

    def run(self) -> ResolvedImage:
        from pyctl_hookspecs import manifests

        top = self._document(Descriptor(media_type="", digest="", size_bytes=0), self._reference.digest or self._reference.tag)
        if isinstance(top, manifests.Index):
            done = [self._image(self._nested(child)) for child in self._chosen(top)]
            first = next((image for image in done if image is not None), None)
            if first is None:
                raise NotFoundError("image", top.target.digest, message=f"{self._reference.familiar}: no manifest to run")
        else:
            first = self._image(top, only=True)
            if first is None:
                raise UnsupportedError(f"{self._reference.familiar} is not a container image")
        self._host.images.record(self._request.image_ref, top.target, {})
        return first.replace(target=top.target)

    def _chosen(self, index: Index) -> list[Descriptor]:
        from pyctl_hookspecs import platforms

        if self._request.all_platforms:
            here = platforms.host_platform()
            return sorted(index.manifests, key=lambda manifest: platforms.rank(manifest.platform, here) % 99)
        wanted = self._request.platforms or (platforms.host_platform(),)
        return list(dict.fromkeys(index.choose(platforms.normalise(platform)) for platform in wanted))

    def _nested(self, child: Descriptor) -> Manifest:
        from pyctl_hookspecs import manifests

        document = self._document(child, child.digest)
        while isinstance(document, manifests.Index):
            chosen = self._chosen(document)[0]
            document = self._document(chosen, chosen.digest)
        return document

    def _document(self, known: Descriptor, target: str) -> Manifest | Index:
        """Manifest or index, stored with the labels that hold what it points at."""
        from pyctl_hookspecs import manifests

        content = self._host.content
        self._watch.check()
        if ":" in target and content.size_bytes(target) is not None:
            body = content.read(target)
            found = known.replace(digest=target, size_bytes=len(body))
        else:
            found, body = self._repository.manifest(target)
            found = found.replace(platform=known.platform, annotations=known.annotations)
        document = manifests.read(found, body)
        kind = "index" if isinstance(document, manifests.Index) else "manifest"
        labels = {**document.labels(), **self._source}
        if content.size_bytes(found.digest) is not None:
            content.label(found.digest, labels)
            self._watch.report(document.target, kind, "exists", len(body))
            return document
        with content.writer(f"{kind}-{found.digest}", digest=found.digest, size_bytes=len(body)) as writer:
            if writer.offset_bytes not in (0, len(body)):
                writer.truncate()
            if writer.offset_bytes == 0:
                writer.write(body)
            writer.commit(labels)
        self._watch.report(document.target, kind, "done", len(body))
        return document

    def _image(self, manifest: Manifest, *, only: bool = False) -> ResolvedImage | None:
        """Fetch and unpack one manifest; None for what is no image (attestations, charts)."""
        unpack = self._request.unpack and manifest.is_runnable and self._is_wanted_unpacked(manifest)
        layers = tuple(dict.fromkeys(manifest.layers))
        queue = _Downloads(self._repository, self._host, layers, self._source, self._watch, in_order=unpack)
        threads = queue.start(self._request.parallel_layers)
        chain_id = ""
        try:
            platform = self._config(manifest, only=only)
            if unpack:
                chain_id = self._host.images.unpack(
                    self._request.snapshotter, manifest.config.digest, queue.announced(manifest.layers)
                )
            for _ in queue.in_order(layers):
                pass
        except BaseException as error:
            failure = queue.failure  # what came before us; after the next line the others only say that they stopped
            self._watch.stop.set()
            _join(threads)
            if failure is not None and isinstance(error, Exception) and error is not failure:
                raise failure from None
            raise
        _join(threads)
        if not manifest.is_runnable:
            return None
        return ResolvedImage(
            image_ref=self._request.image_ref,
            target=manifest.target,
            manifest_digest=manifest.target.digest,
            config_digest=manifest.config.digest,
            platform=platform,
            chain_id=chain_id,
        )

    def _is_wanted_unpacked(self, manifest: Manifest) -> bool:
        from pyctl_hookspecs import platforms

        platform = manifest.target.platform
        return not self._request.all_platforms or not platform or platforms.rank(platform, platforms.host_platform()) >= 0

    def _config(self, manifest: Manifest, *, only: bool) -> str:
        from pyctl_hookspecs import manifests, platforms
        from pyctl_plugins.image import _fetch

        _fetch.fetch(self._repository, self._host.content, manifest.config, "config", self._source, self._watch)
        platform = manifest.target.platform
        if manifest.is_runnable:
            platform = manifests.config_platform(self._host.content.read(manifest.config.digest)) or platform
        asked = tuple(platforms.normalise(wanted) for wanted in self._request.platforms)
        if only and asked and not any(platforms.rank(platform, wanted) >= 0 for wanted in asked):
            # An image without an index is taken as it is, unless a platform was asked for.
            message = f"image with reference {self._reference.familiar} was found but does not provide the specified platform"
            raise NotFoundError("image", self._reference.familiar, message=f"{message} ({asked[0]})")
        return platform


class _Downloads:
    """Layers on their way, a few at a time, in the order the unpacker wants them."""

    def __init__(
        self,
        repository: Repository,
        host: Host,
        layers: tuple[Descriptor, ...],
        source: dict[str, str],
        watch: Watch,
        *,
        in_order: bool,
    ) -> None:
        from threading import Condition

        self.failure: BaseException | None = None
        self._repository = repository
        self._content = host.content
        self._waiting = iter(layers)
        self._source = source
        self._watch = watch
        self._order = tuple(layer.digest for layer in layers) if in_order else ()
        self._complete: set[str] = set()
        self._new: set[str] = set()
        self._changed = Condition()
        self._taken = 0
        self._set_priorities()

    def _set_priorities(self) -> None:
        self._watch.first = next((digest for digest in self._order if digest not in self._complete), "")
        self._watch.is_ahead = 0 < self._taken < len(self._order) and self._order[self._taken] in self._complete

    def start(self, parallel: int) -> list[Thread]:
        from threading import Thread

        # Daemon threads: one that is stuck in a read must not hold the command after Ctrl-C.
        threads = [Thread(target=self._work, name=f"layer-{n}", daemon=True) for n in range(max(parallel, 1))]
        for thread in threads:
            thread.start()
        return threads

    def in_order(self, layers: tuple[Descriptor, ...]) -> Iterator[Descriptor]:
        """Each layer as soon as it is complete in containerd.

        Raises:
            PyctlError: whatever ended the download.
        """
        for layer in layers:
            with self._changed:
                while layer.digest not in self._complete:
                    if self.failure is not None:
                        raise self.failure
                    self._watch.check()
                    # Woken by every finished layer; the time-out is for an interruption that reaches no worker.
                    self._changed.wait(0.5)
                self._taken += 1
                self._set_priorities()
            yield layer

    def announced(self, layers: tuple[Descriptor, ...]) -> Iterator[Descriptor]:
        """``in_order`` for the unpacker, with a word to the user about the layers that are new."""
        last: Descriptor | None = None
        for layer in self.in_order(layers):
            is_new = layer.digest in self._new
            if is_new:
                self._watch.report(layer, "layer", "unpacking")
            # Asking for the next one says that the last is done.
            if last is not None:
                self._watch.report(last, "layer", "done", last.size_bytes)
            last = layer if is_new else None
            yield layer
        if last is not None:
            self._watch.report(last, "layer", "done", last.size_bytes)

    def _work(self) -> None:
        from pyctl_plugins.image import _fetch

        while True:
            with self._changed:
                layer = next(self._waiting, None)
            if layer is None:
                return
            try:
                is_new = _fetch.fetch(self._repository, self._content, layer, "layer", self._source, self._watch)
            except BaseException as error:  # handed to the thread that waits for the layer
                with self._changed:
                    self.failure = self.failure or error
                    self._watch.stop.set()
                    self._changed.notify_all()
                return
            with self._changed:
                self._complete.add(layer.digest)
                if is_new:
                    self._new.add(layer.digest)
                self._set_priorities()
                self._changed.notify_all()


def _join(threads: list[Thread]) -> None:
    for thread in threads:
        thread.join(2)
