"""Labels that only pyctl has, in a module that costs ``ps`` nothing; what begins with the prefix is never shown."""

from __future__ import annotations

OWN_PREFIX = "pyctl/"
IMAGE_LABEL = "pyctl/image"  # what the user typed, where that is not what the image's name looks like
_EMPTY_LABEL = "pyctl/empty-labels"  # keys, because containerd forgets a label without a value
_LIMIT_BYTES = 4096  # containerd's, for a key with its value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def packed(labels: Mapping[str, str]) -> dict[str, str]:
    """What to store, so that ``unpacked`` finds the user's labels without a value again.

    More of them than fit into one label are forgotten as before.
    """
    kept = {key: value for key, value in labels.items() if value}
    empty = [key for key, value in labels.items() if not value and not key.startswith(("nerdctl/", OWN_PREFIX))]
    if empty:
        import json

        text = json.dumps(empty, ensure_ascii=False, separators=(",", ":"))
        if len(_EMPTY_LABEL) + len(text.encode()) <= _LIMIT_BYTES:
            kept[_EMPTY_LABEL] = text
    return kept


def unpacked(labels: dict[str, str]) -> dict[str, str]:
    """The same labels as they were given, in place."""
    if _EMPTY_LABEL in labels:
        import json

        for key in json.loads(labels.pop(_EMPTY_LABEL)):
            labels.setdefault(key, "")
    return labels
