"""From what the user typed to an image in containerd, and to what its configuration says."""

from __future__ import annotations

from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pyctl.containerd.client import Client
    from pyctl.containerd.records import Image
    from pyctl_hookspecs.manifests import Manifest
    from pyctl_hookspecs.resolve_image import Descriptor

UNTAGGED = "<none>"  # images without a name are recorded as "<none>@<digest>"
_HEX = frozenset("0123456789abcdef")


class ImageConfig(Record):
    """One platform of an image. ``config`` is the whole image configuration document: read it, never change it.

    ``parents`` are the indexes between the image's target and the manifest, where somebody nested them.
    """

    manifest_digest: str
    config_digest: str
    platform: str
    chain_id: str
    diff_ids: tuple[str, ...]
    layers: tuple[Descriptor, ...]
    config: Mapping[str, Any]
    parents: tuple[str, ...] = ()


def find_image(client: Client, text: str) -> Image:
    """The image a name, a digest or an unambiguous beginning of an ID means.

    The ID is the digest of the target (index or manifest); the digest of a configuration is understood too.

    Raises:
        NotFoundError: none.
        ConflictError: several images' IDs begin with it.
        InvalidArgumentError: neither a reference nor an ID.
    """
    from pyctl_hookspecs.references import is_identifier, normalise

    bare = text.removeprefix("sha256:")
    is_id = bool(bare) and _HEX.issuperset(bare) and len(bare) <= 64
    if is_id and (bare is not text or is_identifier(text)):
        return _only(_by_id(client, bare), text)
    reference = None
    try:
        reference = normalise(text)
    except InvalidArgumentError:
        if not text.startswith(UNTAGGED):
            raise
    for name in dict.fromkeys(filter(None, (str(reference or ""), text))):
        try:
            return client.images.get(name)
        except NotFoundError:
            continue
    if reference is not None and reference.digest:
        # Pulled by tag, asked for by digest: the repository must be the same.
        named = client.images.list([f"target.digest=={reference.digest}"])
        return _only([image for image in named if repository_of(image.name) == reference.name], reference.familiar)
    found = _by_id(client, bare) if is_id else []
    return _only(found, reference.familiar if reference is not None else text)


def load_config(
    client: Client, image: Image, platform: str = "", *, any_platform: bool = False, cache_dir: str = ""
) -> ImageConfig:
    """What the image is on ``platform`` (empty: this machine's), from ``cache_dir`` if there is one and it knows.

    An image that is no index is taken as it is unless a platform was named. ``any_platform`` falls back
    to whatever platform is here.

    Raises:
        NotFoundError: not here for this platform, or incomplete.
        InvalidArgumentError: not a platform.
    """
    if cache_dir and not any_platform:
        from pyctl.ops import image_cache

        known = image_cache.load(cache_dir, image.target.digest, platform)
        if known is None:
            known = load_config(client, image, platform)
            image_cache.store(cache_dir, image.target.digest, platform, known)
        return known

    from pyctl_hookspecs import platforms

    wanted = platforms.normalise(platform) if platform else ""
    failure: NotFoundError | None = None
    for manifest, parents in _candidates(client, image.target, wanted, any_platform=any_platform):
        try:
            return _config(client, manifest, parents, wanted if not any_platform else "")
        except NotFoundError as error:
            failure = failure or error
    raise NotFoundError("image", image.name, message=_missing(image, wanted)) from failure


def complete_configs(client: Client, image: Image) -> list[ImageConfig]:
    """Every platform of the image that is here with all its layers."""
    found = []
    for manifest, parents in _candidates(client, image.target, "", any_platform=True):
        try:
            config = _config(client, manifest, parents, "")
        except NotFoundError:
            continue
        if all(client.content.size_bytes(layer.digest) is not None for layer in config.layers):
            found.append(config)
    return found


def _candidates(
    client: Client, target: Descriptor, wanted: str, parents: tuple[str, ...] = (), *, any_platform: bool
) -> Iterable[tuple[Manifest, tuple[str, ...]]]:
    """Manifests that would do, best first, with the indexes above them; those that are not here are left out."""
    from pyctl_hookspecs import platforms
    from pyctl_hookspecs.manifests import Index, read

    try:
        document = read(target, client.content.read(target.digest))
    except NotFoundError:
        return
    if not isinstance(document, Index):
        yield document, parents
        return
    here = wanted or platforms.host_platform()
    ranked = sorted(((platforms.rank(child.platform, here), n) for n, child in enumerate(document.manifests)))
    for rank, n in [pair for pair in ranked if pair[0] >= 0] + [pair for pair in ranked if pair[0] < 0 and any_platform]:
        child = document.manifests[n]
        if rank >= 0 or child.platform != "unknown/unknown":
            yield from _candidates(client, child, wanted, (*parents, target.digest), any_platform=any_platform)


def _config(client: Client, manifest: Manifest, parents: tuple[str, ...], wanted: str) -> ImageConfig:
    from json import loads

    from pyctl.ops.image_store import chain_id
    from pyctl_hookspecs import platforms
    from pyctl_hookspecs.manifests import config_platform

    body = client.content.read(manifest.config.digest)
    platform = config_platform(body) or manifest.target.platform
    if wanted and platform and platforms.rank(platform, wanted) < 0:
        raise NotFoundError("image", manifest.target.digest)
    document = loads(body)
    if not isinstance(document, dict):
        raise PyctlError(f"image configuration {manifest.config.digest}: malformed: not an object")
    diff_ids = tuple((document.get("rootfs") or {}).get("diff_ids") or ())
    chain = ""
    for diff_id in diff_ids:
        chain = chain_id(chain, diff_id)
    return ImageConfig(
        manifest_digest=manifest.target.digest,
        config_digest=manifest.config.digest,
        platform=platform,
        chain_id=chain,
        diff_ids=diff_ids,
        layers=manifest.layers,
        config=document,
        parents=parents,
    )


def repository_of(name: str) -> str:
    """The repository of a stored name, or nothing for a name that is no reference."""
    from pyctl_hookspecs.references import parse

    try:
        return parse(name).name
    except InvalidArgumentError:
        return ""


def same_target(client: Client, image: Image) -> tuple[Image, ...]:
    """Every name of the same target, this one included."""
    return client.images.list([f"target.digest=={image.target.digest}"])


def _by_id(client: Client, prefix: str) -> list[Image]:
    images = client.images.list()
    found = [image for image in images if image.target.digest.startswith(f"sha256:{prefix}")]
    if found:
        return found
    owner = f'labels."containerd.io/gc.ref.content.config"~="^sha256:{prefix}"'
    manifests = {info.digest for info in client.content.list([owner])}
    if not manifests:
        return []
    return [image for image in images if image.target.digest in manifests or manifests & _children(client, image)]


def _children(client: Client, image: Image) -> set[str]:
    try:
        labels = client.content.info(image.target.digest).labels
    except NotFoundError:
        return set()
    return {value for name, value in labels.items() if name.startswith("containerd.io/gc.ref.content.m.")}


def _only(found: list[Image], text: str) -> Image:
    if not found:
        raise NotFoundError("image", text)
    if len({image.target.digest for image in found}) > 1:
        raise ConflictError(f"multiple IDs found with provided prefix: {text}")
    # A name people gave before one that only keeps the content.
    return min(found, key=lambda image: (image.name.startswith(UNTAGGED), image.name))


def _missing(image: Image, wanted: str) -> str:
    from pyctl_hookspecs.references import familiar

    if not wanted:
        return f"No such image: {familiar(image.name)}"
    return f"image with reference {familiar(image.name)} was found but does not provide the specified platform ({wanted})"
