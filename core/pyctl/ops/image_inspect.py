"""``image inspect``: one image in Docker's shape, or as containerd has it."""

from __future__ import annotations

from pyctl_hookspecs.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.ops.session import Session

_EMPTY_CONFIG: dict[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def inspect_image(session: Session, text: str, *, platform: str = "") -> dict[str, Any]:
    """The object of ``docker image inspect``. ``Id`` is the target's digest, as in ``images``.

    Raises:
        NotFoundError: no such image, or not for this platform.
        ConflictError, InvalidArgumentError: as ``find_image``.
    """
    from pyctl.ops.image_listing import Sizes, cache_dir, config_of, created_at
    from pyctl.ops.images import UNTAGGED, find_image, load_config, same_target
    from pyctl_hookspecs.references import familiar

    image = find_image(session.client, text)
    if platform:
        found = load_config(session.client, image, platform, cache_dir=cache_dir(session))
    else:
        any_found = config_of(session, image)
        if any_found is None:
            raise NotFoundError("image", familiar(image.name))
        found = any_found
    names = sorted(one.name for one in same_target(session.client, image) if not one.name.startswith(UNTAGGED))
    size_bytes = sum(Sizes(session.client, session.settings.snapshotter).of_layers(found))
    document = found.config
    target = image.target
    return {
        "Id": target.digest,
        "RepoTags": [familiar(name) for name in names if "@" not in name],
        "RepoDigests": _repo_digests(names, target.digest),
        "Parent": "",
        "Comment": _comment(document),
        "Created": created_at(found, image),
        "DockerVersion": str(document.get("docker_version") or ""),
        "Author": str(document.get("author") or ""),
        "Config": {**_EMPTY_CONFIG, **(document.get("config") or {})},
        "Architecture": str(document.get("architecture") or ""),
        **({"Variant": document["variant"]} if document.get("variant") else {}),
        "Os": str(document.get("os") or ""),
        **({"OsVersion": document["os.version"]} if document.get("os.version") else {}),
        "Size": size_bytes,
        "VirtualSize": size_bytes,
        "GraphDriver": {"Data": None, "Name": session.settings.snapshotter},
        "RootFS": {"Type": "layers", "Layers": list(found.diff_ids)},
        "Metadata": {"LastTagTime": image.updated_at},
        "Descriptor": {"mediaType": target.media_type, "digest": target.digest, "size": target.size_bytes},
    }


def inspect_native(session: Session, text: str, *, platform: str = "") -> dict[str, Any]:
    """The image as containerd and its own files have it: record, manifest, configuration.

    Raises:
        As ``inspect_image``.
    """
    from json import loads

    from pyctl.ops.images import find_image, load_config

    client = session.client
    image = find_image(client, text)
    found = load_config(client, image, platform, any_platform=not platform)
    target = {"mediaType": image.target.media_type, "digest": image.target.digest, "size": image.target.size_bytes}
    is_index = found.manifest_digest != image.target.digest
    return {
        "Image": {
            "Name": image.name,
            "Labels": dict(image.labels) or None,
            "Target": target,
            "CreatedAt": image.created_at,
            "UpdatedAt": image.updated_at,
        },
        "IndexDesc": target if is_index else None,
        "Index": loads(client.content.read(image.target.digest)) if is_index else None,
        "ManifestDesc": {"digest": found.manifest_digest},
        "Manifest": loads(client.content.read(found.manifest_digest)),
        "ImageConfigDesc": {"digest": found.config_digest},
        "ImageConfig": found.config,
    }


def _repo_digests(names: list[str], digest: str) -> list[str]:
    from pyctl.ops.images import repository_of
    from pyctl_hookspecs.references import parse

    repositories = dict.fromkeys(parse(name).familiar_name for name in names if repository_of(name))
    return [f"{repository}@{digest}" for repository in repositories]


def _comment(document: Mapping[str, Any]) -> str:
    steps = document.get("history") or [{}]
    return str(document.get("comment") or steps[-1].get("comment") or "")
