"""``load``: images from a tar archive, Docker's own or an OCI layout, straight into the content store.

One pass over the stream: blobs are written and verified as they come by, only the small descriptions are kept in
memory. Names inside the archive are keys, never paths on this machine.
"""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError, NotFoundError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from tarfile import TarFile, TarInfo
    from typing import IO, Any

    from pyctl.ops.host import CoreHost
    from pyctl.ops.session import Session
    from pyctl_hookspecs.resolve_image import Descriptor

NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_SMALL_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 20
_MAGIC = {b"\x1f\x8b": ".gzip", b"\x28\xb5": ".zstd"}


class Loaded(Record):
    """One image that came out of an archive; ``name`` is empty if the archive has none for it."""

    name: str
    digest: str
    platform: str = ""


class _Spooled(Record):
    """A file of the archive that is in the content store now, found by its name in the archive."""

    digest: str
    size_bytes: int
    compression: str


class _Contents:
    """What one pass over an archive left behind."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.files: dict[str, _Spooled] = {}
        self.links: dict[str, str] = {}

    def text(self, name: str) -> bytes | None:
        return self.texts.get(self._resolved(name))

    def file(self, name: str) -> _Spooled | None:
        return self.files.get(self._resolved(name))

    def _resolved(self, name: str) -> str:
        for _ in range(16):  # old archives link equal layers to each other
            if name not in self.links:
                break
            name = self.links[name]
        return name


def load(
    session: Session, stream: IO[bytes], *, platforms: tuple[str, ...] = (), all_platforms: bool = False
) -> tuple[Loaded, ...]:
    """Load every image of a tar archive (plain, gzip, bzip2, xz or zstd) and unpack the one for this machine.

    ``platforms`` unpacks those instead; ``all_platforms`` unpacks none but this machine's, and wants no other.

    Raises:
        InvalidArgumentError: no archive, or one without images.
        PyctlError: a blob is corrupt or missing, or no space. What was named before stays.
    """
    import tarfile

    from pyctl.ops.archive_zstd import plain
    from pyctl.ops.leases import leased
    from pyctl.ops.pull import terminable

    with terminable(), leased(session, sync=True) as host:
        with plain(stream) as bare:
            try:
                with tarfile.open(fileobj=bare, mode="r|*", bufsize=_CHUNK_BYTES) as archive:
                    contents = _take_in(host, archive)
            except (tarfile.TarError, EOFError, OSError) as error:
                raise InvalidArgumentError(f"not an image archive: {error}") from error
        found = list(_named(host, contents))
        if not found:
            raise InvalidArgumentError("the archive holds no image: neither index.json nor manifest.json names one")
        return tuple(_finish(session, host, name, target, () if all_platforms else platforms) for name, target in found)


def _take_in(host: CoreHost, archive: TarFile) -> _Contents:
    contents = _Contents()
    for member in archive:
        if host.cancelled():
            from pyctl_hookspecs.errors import CancelledError

            raise CancelledError("interrupted")
        name = _safe(member.name)
        if member.issym() or member.islnk():
            base = name.rpartition("/")[0] if member.issym() else ""
            contents.links[name] = _safe(f"{base}/{member.linkname}" if base else member.linkname)
        elif member.isfile():
            stream = archive.extractfile(member)
            if stream is not None:
                _take_file(host, contents, name, member, stream)
        elif not member.isdir():
            raise InvalidArgumentError(f"not an image archive: {member.name} is a special file")
    return contents


def _take_file(host: CoreHost, contents: _Contents, name: str, member: TarInfo, stream: IO[bytes]) -> None:
    from pyctl_hookspecs.references import is_digest

    parts = name.split("/")
    digest = f"{parts[1]}:{parts[2]}" if len(parts) == 3 and parts[0] == "blobs" else ""
    if is_digest(digest):
        if host.content.size_bytes(digest) is None:
            with host.content.writer(f"load-{digest}", digest=digest, size_bytes=member.size) as writer:
                writer.truncate()
                for chunk in _chunks(stream):
                    writer.write(chunk)
                writer.commit({})
        contents.files[name] = _Spooled(digest=digest, size_bytes=member.size, compression="")
    elif member.size <= _SMALL_BYTES and not name.endswith(".tar"):
        contents.texts[name] = stream.read()
    else:
        contents.files[name] = _spool(host, member, stream)


def _spool(host: CoreHost, member: TarInfo, stream: IO[bytes]) -> _Spooled:
    """A file whose digest nobody told us: it is computed on the way into the store."""
    import hashlib
    import os

    total, head = hashlib.sha256(), b""
    with host.content.writer(f"load-{os.urandom(8).hex()}", digest="", size_bytes=member.size) as writer:
        for chunk in _chunks(stream):
            head = head or chunk[:2]
            total.update(chunk)
            writer.write(chunk)
        writer.commit({})
    return _Spooled(digest=f"sha256:{total.hexdigest()}", size_bytes=member.size, compression=_MAGIC.get(head, ""))


def _named(host: CoreHost, contents: _Contents) -> Iterator[tuple[str, Descriptor]]:
    """Each image of the archive with its name, stored and labelled."""
    index, docker = contents.text("index.json"), contents.text("manifest.json")
    if index is not None:
        tags = _docker_tags(docker)
        for target in _layout(index):
            annotations = dict(target.annotations)
            given = annotations.get(NAME) or annotations.get(REF_NAME, "")
            names = [given] if _is_name(given) else tags.get(_config_of(host, target), [""])
            for name in names:
                yield name, target.replace(annotations=())
    elif docker is not None:
        for entry in _list(docker, "manifest.json"):
            target = _from_docker(host, contents, entry)
            for name in entry.get("RepoTags") or [""]:
                yield name, target


def _layout(index: bytes) -> tuple[Descriptor, ...]:
    from pyctl_hookspecs.manifests import INDEX_TYPES, Index, read
    from pyctl_hookspecs.resolve_image import Descriptor

    document = read(Descriptor(media_type=INDEX_TYPES[0], digest="index.json", size_bytes=len(index)), index)
    if not isinstance(document, Index):
        raise InvalidArgumentError("not an image archive: index.json is no image index")
    return document.manifests


def _docker_tags(docker: bytes | None) -> dict[str, list[str]]:
    """Names from Docker's manifest.json by the digest of the configuration they belong to."""
    found: dict[str, list[str]] = {}
    for entry in _list(docker, "manifest.json") if docker is not None else []:
        config = str(entry.get("Config", "")).rpartition("/")[2].removesuffix(".json")
        found.setdefault(f"sha256:{config}", []).extend(entry.get("RepoTags") or [])
    return {config: names for config, names in found.items() if names}


def _config_of(host: CoreHost, target: Descriptor) -> str:
    from pyctl_hookspecs.manifests import Manifest, read

    try:
        document = read(target, host.content.read(target.digest))
    except NotFoundError:
        return ""
    return document.config.digest if isinstance(document, Manifest) else ""


def _from_docker(host: CoreHost, contents: _Contents, entry: dict[str, Any]) -> Descriptor:
    """A manifest for an archive of the old kind, which has none."""
    from json import dumps

    config_name = _safe(str(entry.get("Config", "")))
    config = contents.text(config_name)
    spooled = contents.file(config_name)
    if config is None and spooled is not None:
        config = host.content.read(spooled.digest)
    if config is None:
        raise InvalidArgumentError(f"the archive is incomplete: {config_name or 'Config'} is missing")
    layers = []
    for name in entry.get("Layers") or []:
        layer = contents.file(_safe(str(name)))
        if layer is None:
            raise InvalidArgumentError(f"the archive is incomplete: {name} is missing")
        media_type = f"{DOCKER_LAYER}{layer.compression}"
        layers.append({"mediaType": media_type, "size": layer.size_bytes, "digest": layer.digest})
    target = _put(host, config, DOCKER_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "size": target.size_bytes, "digest": target.digest},
        "layers": layers,
    }
    return _put(host, dumps(document).encode(), DOCKER_MANIFEST)


def _put(host: CoreHost, body: bytes, media_type: str) -> Descriptor:
    import hashlib

    from pyctl_hookspecs.resolve_image import Descriptor

    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if host.content.size_bytes(digest) is None:
        with host.content.writer(f"load-{digest}", digest=digest, size_bytes=len(body)) as writer:
            writer.truncate()
            writer.write(body)
            writer.commit({})
    return Descriptor(media_type=media_type, digest=digest, size_bytes=len(body))


def _finish(session: Session, host: CoreHost, name: str, target: Descriptor, platforms: tuple[str, ...]) -> Loaded:
    """Label what hangs together, unpack, and only then give the name."""
    from pyctl.containerd.records import Image
    from pyctl.ops.images import UNTAGGED, load_config
    from pyctl_hookspecs.references import normalise

    full = str(normalise(name)) if name else f"{UNTAGGED}@{target.digest}"
    if not _label_tree(host, target):
        raise PyctlError(f"the archive is incomplete: {target.digest} is missing")
    image = Image(name=full, target=target)
    platform = ""
    for wanted in platforms or ("",):
        config = load_config(session.client, image, wanted, any_platform=not wanted)
        missing = [layer.digest for layer in config.layers if host.content.size_bytes(layer.digest) is None]
        if missing:
            raise InvalidArgumentError(f"the archive is incomplete: blob {missing[0]} of {name or target.digest} is missing")
        host.images.unpack(session.settings.snapshotter, config.config_digest, config.layers)
        platform = platform or config.platform
    host.images.record(full, target, {})
    return Loaded(name=full if name else "", digest=target.digest, platform=platform)


def _label_tree(host: CoreHost, target: Descriptor) -> bool:
    """Give manifest and index the labels that hold their parts; False if the blob is not here."""
    from pyctl_hookspecs.manifests import Index, read

    if host.content.size_bytes(target.digest) is None:
        return False
    document = read(target, host.content.read(target.digest))
    host.content.label(target.digest, document.labels())
    if isinstance(document, Index):
        for child in document.manifests:
            _label_tree(host, child)  # an archive may hold some of the platforms only
    return True


def _list(body: bytes, name: str) -> list[dict[str, Any]]:
    from json import loads

    try:
        document = loads(body)
    except ValueError as error:
        raise InvalidArgumentError(f"not an image archive: {name}: {error}") from error
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise InvalidArgumentError(f"not an image archive: {name} is malformed")
    return document


def _is_name(text: str) -> bool:
    """Is this a whole reference? Many tools put only the tag there."""
    from pyctl_hookspecs.references import parse

    try:
        return "/" in text and bool(parse(text))
    except InvalidArgumentError:
        return False


def _safe(name: str) -> str:
    """A member name in normal form.

    Raises:
        InvalidArgumentError: it points outside the archive.
    """
    from posixpath import normpath

    clean = normpath(name)
    if clean.startswith(("/", "../")) or clean == "..":
        raise InvalidArgumentError(f"not an image archive: {name} points outside of it")
    return clean


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk
