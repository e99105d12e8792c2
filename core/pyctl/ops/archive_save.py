"""``save``: images as a tar archive that is an OCI layout and that ``docker load`` of any age reads."""

from __future__ import annotations

from pyctl_hookspecs.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from tarfile import TarFile
    from typing import IO

    from pyctl.containerd.records import Image
    from pyctl.ops.host import CoreHost
    from pyctl.ops.images import ImageConfig
    from pyctl.ops.session import Session

_CHUNK_BYTES = 1 << 20


def save(
    session: Session, texts: Sequence[str], out: IO[bytes], *, platforms: tuple[str, ...] = (), all_platforms: bool = False
) -> None:
    """Write images with their names; blobs they share are written once. The same images give the same bytes.

    Raises:
        NotFoundError: no such image, or not complete for the platform. Nothing was written then.
        OSError: ``out`` does not take it.
    """
    import tarfile

    from pyctl.ops.leases import leased

    with leased(session) as host:
        chosen = [(image, _configs(session, image, platforms, all_platforms)) for image in _found(session, texts)]
        blobs = _blobs(host, chosen)
        with tarfile.open(fileobj=out, mode="w|", bufsize=_CHUNK_BYTES, format=tarfile.PAX_FORMAT) as tar:
            _add_directories(tar, blobs)
            for digest in sorted(blobs):
                _add(tar, _path(digest), blobs[digest], _Reader(session.client.content.read_chunks(digest)))
            _add_text(tar, "index.json", _index(chosen))
            _add_text(tar, "manifest.json", _docker_manifest(chosen))
            _add_text(tar, "oci-layout", {"imageLayoutVersion": "1.0.0"})


def save_file(
    session: Session, texts: Sequence[str], path: str, *, platforms: tuple[str, ...] = (), all_platforms: bool = False
) -> None:
    """``save`` into a file, which appears when it is complete.

    Raises:
        As ``save``.
    """
    import os

    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    out = open(temporary, "xb")
    try:
        with out:
            save(session, texts, out, platforms=platforms, all_platforms=all_platforms)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _found(session: Session, texts: Sequence[str]) -> list[Image]:
    from pyctl.ops.images import find_image

    images = {image.name: image for image in (find_image(session.client, text) for text in texts)}
    return list(images.values())


def _configs(session: Session, image: Image, platforms: tuple[str, ...], all_platforms: bool) -> list[ImageConfig]:
    from pyctl.ops.images import complete_configs, load_config

    if all_platforms:
        found = complete_configs(session.client, image)
        if not found:
            raise NotFoundError("image", image.name)
        return found
    return [load_config(session.client, image, wanted, any_platform=not wanted) for wanted in platforms or ("",)]


def _blobs(host: CoreHost, chosen: Sequence[tuple[Image, Sequence[ImageConfig]]]) -> dict[str, int]:
    """Sizes of everything to write, all of it held by the lease."""
    wanted: dict[str, None] = {}
    for image, configs in chosen:
        wanted[image.target.digest] = None
        for config in configs:
            wanted.update(dict.fromkeys((*config.parents, config.manifest_digest, config.config_digest)))
            wanted.update(dict.fromkeys(layer.digest for layer in config.layers))
    sizes = {}
    for digest in wanted:
        size = host.content.size_bytes(digest)
        if size is None:
            raise NotFoundError("blob", digest, message=f"content {digest} is missing here: pull the image again")
        sizes[digest] = size
    return sizes


def _index(chosen: Sequence[tuple[Image, Sequence[ImageConfig]]]) -> object:
    from pyctl.ops.archive import NAME, REF_NAME
    from pyctl.ops.images import UNTAGGED
    from pyctl_hookspecs.references import parse

    manifests = []
    for image, _ in chosen:
        entry: dict[str, object] = {
            "mediaType": image.target.media_type,
            "digest": image.target.digest,
            "size": image.target.size_bytes,
        }
        if not image.name.startswith(UNTAGGED):
            entry["annotations"] = {NAME: image.name, REF_NAME: parse(image.name).tag or image.name}
        manifests.append(entry)
    return {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}


def _docker_manifest(chosen: Sequence[tuple[Image, Sequence[ImageConfig]]]) -> object:
    from pyctl.ops.images import UNTAGGED
    from pyctl_hookspecs.references import parse

    entries: dict[str, dict[str, object]] = {}
    tags: dict[str, list[str]] = {}
    for image, configs in chosen:
        config = configs[0]  # Docker's old format knows one platform
        layers = [_path(layer.digest) for layer in config.layers]
        entries.setdefault(config.config_digest, {"Config": _path(config.config_digest), "RepoTags": None, "Layers": layers})
        if not image.name.startswith(UNTAGGED) and parse(image.name).tag:
            tags.setdefault(config.config_digest, []).append(parse(image.name).familiar)
    return [{**entry, "RepoTags": tags.get(digest)} for digest, entry in entries.items()]


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add_directories(tar: TarFile, blobs: dict[str, int]) -> None:
    import tarfile

    for name in ["blobs", *sorted({f"blobs/{digest.partition(':')[0]}" for digest in blobs})]:
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)


def _add_text(tar: TarFile, name: str, document: object) -> None:
    from io import BytesIO
    from json import dumps

    body = dumps(document, separators=(",", ":")).encode()
    _add(tar, name, len(body), BytesIO(body))


def _add(tar: TarFile, name: str, size_bytes: int, source: IO[bytes] | _Reader) -> None:
    import tarfile

    info = tarfile.TarInfo(name)
    info.size, info.mode = size_bytes, 0o644
    tar.addfile(info, source)


class _Reader:
    """``read`` over an iterator of chunks. tarfile asks for 16 KiB at a time, so chunks are cut, never copied around."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = memoryview(b"")

    def read(self, size: int = _CHUNK_BYTES, /) -> bytes:
        taken = []
        while size > 0:
            if not self._chunk:
                self._chunk = memoryview(next(self._chunks, b""))
                if not self._chunk:
                    break
            piece, self._chunk = self._chunk[:size], self._chunk[size:]
            taken.append(piece)
            size -= len(piece)
        return b"".join(taken)
