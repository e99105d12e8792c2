"""Image configurations by digest, in files: three round trips and their imports saved on every ``run``.

A digest never means anything else, so an entry is never stale. Any file may go at any time; one that
cannot be read counts as absent.
"""

from __future__ import annotations

import os

from pyctl.ops.images import ImageConfig
from pyctl_hookspecs.resolve_image import Descriptor

_MOST_FILES = 256
_FORMAT = 1


def load(folder: str, digest: str, platform: str) -> ImageConfig | None:
    """The entry for a target digest and a platform (empty: this machine's), or None."""
    from json import loads

    try:
        with open(_path(folder, digest, platform), "rb") as file:
            entry = loads(file.read())
        if entry["format"] != _FORMAT:
            return None
        return ImageConfig(
            manifest_digest=entry["manifest"],
            config_digest=entry["config"],
            platform=entry["platform"],
            chain_id=entry["chain"],
            diff_ids=tuple(entry["diff_ids"]),
            layers=tuple(Descriptor(media_type=kind, digest=name, size_bytes=size) for kind, name, size in entry["layers"]),
            config=entry["document"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store(folder: str, digest: str, platform: str, image: ImageConfig) -> None:
    """Remember an entry. A disk that is full or read-only is no reason to fail: then it is not remembered."""
    from json import dumps

    from pyctl.state.locks import make_private, write_atomic

    entry = {
        "format": _FORMAT,
        "manifest": image.manifest_digest,
        "config": image.config_digest,
        "platform": image.platform,
        "chain": image.chain_id,
        "diff_ids": image.diff_ids,
        "layers": [[layer.media_type, layer.digest, layer.size_bytes] for layer in image.layers],
        "document": image.config,
    }
    try:
        make_private(folder)
        write_atomic(_path(folder, digest, platform), dumps(entry), durable=False)
        _prune(folder)
    except OSError:
        pass


def _path(folder: str, digest: str, platform: str) -> str:
    return f"{folder}/{digest.replace(':', '-')}{'-' if platform else ''}{platform.replace('/', '-')}.json"


def _prune(folder: str) -> None:
    names = os.listdir(folder)
    if len(names) <= _MOST_FILES:
        return
    paths = sorted((f"{folder}/{name}" for name in names), key=lambda path: os.stat(path).st_mtime)
    for path in paths[: len(paths) // 2]:
        os.unlink(path)
