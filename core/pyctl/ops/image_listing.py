"""``images``: every name with what stands behind it."""

from __future__ import annotations

from pyctl.ops.images import UNTAGGED
from pyctl_hookspecs.errors import InvalidArgumentError, NotFoundError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyctl.containerd.client import Client
    from pyctl.containerd.records import Image
    from pyctl.ops.images import ImageConfig
    from pyctl.ops.session import Session

FILTERS = ("before", "dangling", "label", "reference", "since", "until")


class ImageRow(Record):
    """One name. ``size_bytes`` is what the unpacked layers take, ``blob_size_bytes`` what came over the wire.

    ``repository`` and ``tag`` are ``<none>`` where there is none; ``digest`` and ``image_id`` are the target's.
    ``created_at`` is RFC 3339. ``containers`` counts the containers made from this name.
    """

    name: str
    repository: str
    tag: str
    digest: str
    image_id: str
    created_at: str
    size_bytes: int = 0
    blob_size_bytes: int = 0
    platform: str = ""
    labels: Mapping[str, str]
    containers: int = 0


class Sizes:
    """Disk usage of layer chains; images share layers, so each is asked for once."""

    def __init__(self, client: Client, snapshotter: str) -> None:
        self._client, self._snapshotter = client, snapshotter
        self._known: dict[str, int] = {}

    def of_layers(self, config: ImageConfig) -> list[int]:
        """Bytes of each layer, from the bottom; 0 for those that are not unpacked."""
        from pyctl.ops.image_store import chain_id

        found, chain = [], ""
        for diff_id in config.diff_ids:
            chain = chain_id(chain, diff_id)
            found.append(self._of(chain))
        return found

    def _of(self, chain: str) -> int:
        if chain not in self._known:
            try:
                self._known[chain] = self._client.snapshots.usage(self._snapshotter, chain).size_bytes
            except NotFoundError:
                self._known[chain] = 0
        return self._known[chain]


def list_images(session: Session, filters: Sequence[tuple[str, str]] = ()) -> tuple[ImageRow, ...]:
    """Rows, newest first. ``filters`` are (key, value) pairs; ``until`` takes seconds since the epoch.

    Raises:
        InvalidArgumentError: an unknown filter, or a value it does not take.
        NotFoundError: ``before`` or ``since`` names no image.
    """
    _check(filters)
    client = session.client
    users: dict[str, int] = {}
    for container in client.containers.list():
        users[container.image] = users.get(container.image, 0) + 1
    images = client.images.list()
    sizes = Sizes(client, session.settings.snapshotter)
    wanted = [image for image in images if _matches_name(image, filters)]
    rows = [_row(session, image, sizes, users.get(image.name, 0)) for image in wanted]
    rows = [row for row in rows if _matches(row, filters)]
    for key in ("before", "since"):
        for value in _values(filters, key):
            border = _border(session, value)
            rows = [row for row in rows if (row.created_at < border if key == "before" else row.created_at > border)]
    rows.sort(key=lambda row: row.name)
    rows.sort(key=lambda row: row.created_at, reverse=True)
    return tuple(rows)


def split_name(name: str) -> tuple[str, str]:
    """Repository and tag as Docker shows them."""
    from pyctl_hookspecs.references import parse

    if name.startswith(UNTAGGED):
        return UNTAGGED, UNTAGGED
    try:
        reference = parse(name)
    except InvalidArgumentError:
        return name, UNTAGGED
    return reference.familiar_name, reference.tag or UNTAGGED


def config_of(session: Session, image: Image) -> ImageConfig | None:
    """The configuration for this machine, or for any platform that is here; None when nothing is complete."""
    from pyctl.ops.images import load_config

    for any_platform in (False, True):
        try:
            return load_config(session.client, image, any_platform=any_platform, cache_dir=cache_dir(session))
        except NotFoundError:
            continue
    return None


def cache_dir(session: Session) -> str:
    return f"{session.paths.data_store}/cache/images"


def _row(session: Session, image: Image, sizes: Sizes, containers: int) -> ImageRow:
    config = config_of(session, image)
    repository, tag = split_name(image.name)
    labels = ((config.config.get("config") or {}).get("Labels") or {}) if config is not None else {}
    return ImageRow(
        name=image.name,
        repository=repository,
        tag=tag,
        digest=image.target.digest,
        image_id=image.target.digest,
        created_at=created_at(config, image),
        size_bytes=sum(sizes.of_layers(config)) if config is not None else 0,
        blob_size_bytes=sum(layer.size_bytes for layer in config.layers) if config is not None else 0,
        platform=config.platform if config is not None else "",
        labels=labels,
        containers=containers,
    )


def created_at(config: ImageConfig | None, image: Image) -> str:
    """When it was built; an image that does not say counts as made when its name was."""
    return str((config.config.get("created") if config is not None else "") or image.created_at)


def _check(filters: Iterable[tuple[str, str]]) -> None:
    for key, value in filters:
        if key not in FILTERS:
            raise InvalidArgumentError(f"invalid filter '{key}'")
        if key == "dangling" and value.lower() not in {"true", "false", "1", "0"}:
            raise InvalidArgumentError(f"invalid value for 'dangling' filter: \"{value}\"")


def _values(filters: Iterable[tuple[str, str]], wanted: str) -> list[str]:
    return [value for key, value in filters if key == wanted]


def _matches_name(image: Image, filters: Iterable[tuple[str, str]]) -> bool:
    patterns = _values(filters, "reference")
    if patterns and not any(matches_reference(image.name, pattern) for pattern in patterns):
        return False
    wanted = {value.lower() in {"true", "1"} for value in _values(filters, "dangling")}
    return not wanted or image.name.startswith(UNTAGGED) in wanted


def matches_reference(name: str, pattern: str) -> bool:
    """Does a stored name fit ``repository[:tag]`` with Go's wildcards, in which ``*`` stops at a slash?"""
    import re

    from pyctl_hookspecs.references import parse

    try:
        reference = parse(name)
    except InvalidArgumentError:
        return name == pattern
    words = []
    for part in re.split(r"(\*|\?|\[[^\]]*\])", pattern):
        if "[" in part and not part.endswith("]"):
            raise InvalidArgumentError(f"invalid reference filter {pattern}: a bracket is not closed")
        words.append({"*": "[^/]*", "?": "[^/]"}.get(part) or (part if part.startswith("[") else re.escape(part)))
    try:
        fits = re.compile("".join(words)).fullmatch
    except re.error as error:
        raise InvalidArgumentError(f"invalid reference filter {pattern}: {error}") from error
    shown = (reference.familiar, reference.familiar_name, str(reference), reference.name)
    return any(fits(text) is not None for text in shown)


def _matches(row: ImageRow, filters: Iterable[tuple[str, str]]) -> bool:
    for value in _values(filters, "label"):
        key, equals, wanted = value.partition("=")
        if key not in row.labels or (equals and row.labels[key] != wanted):
            return False
    return all(_seconds(row.created_at) < float(value) for value in _values(filters, "until"))


def _border(session: Session, text: str) -> str:
    from pyctl.ops.images import find_image

    image = find_image(session.client, text)
    return created_at(config_of(session, image), image)


def _seconds(moment: str) -> float:
    from datetime import datetime

    head = moment[:19]
    try:
        return datetime.fromisoformat(f"{head}+00:00").timestamp()
    except ValueError:
        return 0.0
