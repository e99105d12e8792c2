"""One small file per connected interface: which map elements it owns, for when somebody flushed the rules.

They live under the runtime directory, so a reboot, which loses the rules too, empties them.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def lock(directory: str) -> int:
    """Hold the directory against others who repair the rules; close the descriptor to let go."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    held = os.open(os.path.join(directory, ".lock"), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def write(directory: str, token: str, lines: Sequence[str]) -> None:
    """Remember the elements of a token, replacing what was remembered."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, _file_name(token))
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w") as file:
        file.write("".join(f"{line}\n" for line in (token, *lines)))
    os.rename(temporary, path)


def remove(directory: str, token: str) -> None:
    """Forget a token; an unknown one counts as forgotten."""
    try:
        os.unlink(os.path.join(directory, _file_name(token)))
    except FileNotFoundError:
        pass


def read_all(directory: str) -> Iterator[tuple[str, list[str]]]:
    """Every token with its elements."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(".tmp") or name.startswith("."):
            continue
        try:
            with open(os.path.join(directory, name)) as file:
                token, *lines = file.read().splitlines()
        except (FileNotFoundError, ValueError):
            continue
        yield token, lines


def _file_name(token: str) -> str:
    return token.replace("%", "%25").replace("/", "%2F")[-240:]


def exists(directory: str, token: str) -> bool:
    """Is there a record of this token?"""
    return os.path.exists(os.path.join(directory, _file_name(token)))
