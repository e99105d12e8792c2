"""``--filter key=value``."""

from __future__ import annotations

from pyctl.cli.flags import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What may stand before the first equals sign of any command's filter.
_KEYS = frozenset(
    {
        *("ancestor", "before", "dangling", "driver", "exited", "expose", "health", "id", "is-task", "isolation", "label"),
        *("label!", "name", "network", "publish", "reference", "scope", "since", "status", "type", "until", "volume"),
    }
)


def split_filters(texts: Sequence[str]) -> tuple[str, ...]:
    """One text per filter. nerdctl splits at commas and Docker does not: a comma before a known key splits, so that
    both ``status=exited,name=web`` and ``label=stages=build,test`` are what their writers meant.
    """
    found: list[str] = []
    for text in texts:
        for number, part in enumerate(text.split(",")):
            key, equals, _ = part.partition("=")
            if number and not (equals and key.strip().lower() in _KEYS):
                found[-1] += f",{part}"
            else:
                found.append(part)
    return tuple(found)


def filter_pairs(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Keys (lower case) and values, in the order given.

    Raises:
        UsageError: no equals sign; Docker's words.
    """
    pairs = []
    for text in split_filters(texts):
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)')
        pairs.append((key.strip().lower(), value.strip()))
    return tuple(pairs)
