"""What the user asked for, kept beside the container: ``inspect`` shows much that the specification no longer tells."""

from __future__ import annotations

from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.spec.options import ContainerOptions

_FILE = "pyctl-request.json"
_SECRETS = ("env", "env_file")  # the specification has the environment already


class CreateRequest(Record):
    """``options`` as typed (no environment). ``image_id`` is the configuration's digest, ``image_config`` its ``config``."""

    options: ContainerOptions
    image_id: str
    image_config: Mapping[str, Any]


def save_request(state_dir: str, options: ContainerOptions, *, image_id: str, image_config: Mapping[str, Any]) -> None:
    """Write the request into the container's state directory, which ``rm`` removes."""
    import json

    from pyctl.state.locks import write_atomic

    fields = {
        name: value
        for name, value in options.as_dict().items()
        if name not in _SECRETS and value != _default(type(options), name)
    }
    document = {"options": fields, "image_id": image_id, "image_config": dict(image_config)}
    write_atomic(f"{state_dir}/{_FILE}", json.dumps(document, separators=(",", ":")), durable=False)


def load_request(state_dir: str) -> CreateRequest | None:
    """The request, or None for a container that somebody else made (or an older pyctl)."""
    import json

    from pyctl.spec.options import ContainerOptions

    try:
        with open(f"{state_dir}/{_FILE}", "rb") as file:
            document = json.loads(file.read())
    except FileNotFoundError:
        return None
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document["options"].items()
        if name in ContainerOptions.__fields__  # written by a newer pyctl: what we do not know we do not show
    }
    return CreateRequest(options=ContainerOptions(**known), image_id=document["image_id"], image_config=document["image_config"])


def _default(kind: type, name: str) -> Any:
    value = getattr(kind, name, None)
    return list(value) if isinstance(value, tuple) else value
