"""Reading manifests and indexes: what they point at, and the labels that keep it from containerd's collector."""

from __future__ import annotations

from pyctl_hookspecs import platforms
from pyctl_hookspecs.errors import InvalidArgumentError, NotFoundError, PyctlError, UnsupportedError
from pyctl_hookspecs.records import Record
from pyctl_hookspecs.references import check_digest
from pyctl_hookspecs.resolve_image import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_LAYER_PREFIXES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")


class Manifest(Record):
    """One image for one platform."""

    target: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def is_runnable(self) -> bool:
        """Are these layers a root file system? Charts, signatures and attestations are not."""
        return all(layer.media_type.startswith(_LAYER_PREFIXES) for layer in self.layers)

    def labels(self) -> dict[str, str]:
        found = {f"containerd.io/gc.ref.content.l.{n}": layer.digest for n, layer in enumerate(self.layers)}
        return {"containerd.io/gc.ref.content.config": self.config.digest, **found}


class Index(Record):
    """Several manifests, most often one per platform."""

    target: Descriptor
    manifests: tuple[Descriptor, ...]

    def labels(self) -> dict[str, str]:
        return {f"containerd.io/gc.ref.content.m.{n}": manifest.digest for n, manifest in enumerate(self.manifests)}

    def choose(self, wanted: str) -> Descriptor:
        """The best manifest for ``wanted`` (normal form); the first of equals, as the index orders them.

        Raises:
            NotFoundError: in Docker's words.
        """
        ranked = [(platforms.rank(manifest.platform, wanted), n) for n, manifest in enumerate(self.manifests)]
        fitting = [pair for pair in ranked if pair[0] >= 0]
        if not fitting:
            raise NotFoundError("image", wanted, message=f"no matching manifest for {wanted} in the manifest list entries")
        return self.manifests[min(fitting)[1]]


def read(target: Descriptor, body: bytes) -> Manifest | Index:
    """Understand a manifest or index; ``target`` gets the media type the body itself claims.

    Raises:
        UnsupportedError: schema 1, or something that is no image.
        PyctlError: malformed.
    """
    from json import loads

    try:
        document = loads(body)
        version, claimed = document.get("schemaVersion"), document.get("mediaType") or ""
    except (ValueError, AttributeError) as error:
        raise PyctlError(f"manifest {target.digest}: not a JSON object") from error
    media_type = claimed or target.media_type
    if version == 1:
        raise UnsupportedError(f"manifest {target.digest}: image format schema 1 is no longer supported: push the image again")
    if media_type not in (*INDEX_TYPES, *MANIFEST_TYPES):
        # Registries that serve files often say text/plain or application/json.
        media_type = INDEX_TYPES[0] if "manifests" in document else MANIFEST_TYPES[0] if "layers" in document else media_type
    target = target.replace(media_type=media_type)
    try:
        if media_type in INDEX_TYPES and "layers" not in document:
            return Index(target=target, manifests=tuple(_descriptor(item) for item in document["manifests"]))
        if media_type in MANIFEST_TYPES and "manifests" not in document:
            layers = tuple(_descriptor(item) for item in document["layers"])
            return Manifest(target=target, config=_descriptor(document["config"]), layers=layers)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidArgumentError) as error:
        raise PyctlError(f"manifest {target.digest}: malformed: {error}") from error
    raise UnsupportedError(f"manifest {target.digest}: unsupported media type {media_type or 'unknown'}")


def config_platform(body: bytes) -> str:
    """The platform an image configuration claims, in normal form; empty when it claims none."""
    from json import loads

    try:
        config = loads(body)
        return _joined(config) if config.get("architecture") else ""
    except (ValueError, AttributeError, TypeError):
        return ""


def _descriptor(item: Any) -> Descriptor:
    digest, size_bytes = item["digest"], item["size"]
    if not isinstance(digest, str) or not isinstance(size_bytes, int) or size_bytes < 0:
        raise ValueError("a descriptor without digest and size")
    check_digest(digest)
    annotations = item.get("annotations") or {}
    return Descriptor(
        media_type=str(item.get("mediaType", "")),
        digest=digest,
        size_bytes=size_bytes,
        platform=_joined(item["platform"]) if item.get("platform") else "",
        annotations=tuple((str(name), str(value)) for name, value in annotations.items()),
    )


def _joined(platform: Any) -> str:
    words = [platform.get("os") or "linux", platform.get("architecture") or "unknown", platform.get("variant")]
    try:
        return platforms.normalise("/".join(str(word) for word in words if word))
    except InvalidArgumentError:
        return "unknown/unknown"
