"""``--filter key=value``."""

from __future__ import annotations

from pyctl.cli.flags import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def filter_pairs(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Keys (lower case) and values, in the order given.

    Raises:
        UsageError: no equals sign; Docker's words.
    """
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)')
        pairs.append((key.strip().lower(), value.strip()))
    return tuple(pairs)
