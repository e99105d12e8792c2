"""``--ulimit NAME=SOFT[:HARD]``. Without any, a container inherits the daemon's limits."""

from __future__ import annotations

from pyctl.spec.units import refuse_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_TYPES = frozenset(
    (
        *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile"),
        *("nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
    )
)


def rlimits(ulimits: Iterable[str]) -> list[dict[str, Any]]:
    """``process.rlimits``, in the order of the names; the last ``--ulimit`` of a name counts.

    Raises:
        InvalidArgumentError: names the argument.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in ulimits:
        name, soft, hard = parse_ulimit(text)
        found[name] = {"type": f"RLIMIT_{name.upper()}", "soft": soft % (1 << 64), "hard": hard % (1 << 64)}
    return [found[name] for name in sorted(found)]


def parse_ulimit(text: str) -> tuple[str, int, int]:
    """Name, soft and hard limit; -1 is unlimited.

    Raises:
        InvalidArgumentError: names the argument.
    """
    name, equals, values = text.partition("=")
    if not equals:
        refuse_flag(text, "--ulimit", f"invalid ulimit argument: {text}")
    if name not in _TYPES:
        refuse_flag(text, "--ulimit", f"invalid ulimit type: {name}")
    limits = values.split(":")
    if len(limits) > 2:
        refuse_flag(text, "--ulimit", f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    numbers = []
    for limit in limits:
        try:
            numbers.append(int(limit))
        except ValueError:
            refuse_flag(text, "--ulimit", f'strconv.ParseInt: parsing "{limit}": invalid syntax')
    soft, hard = numbers[0], numbers[-1]
    if hard != -1 and (soft == -1 or soft > hard):
        refuse_flag(text, "--ulimit", f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return name, soft, hard
