"""The user's terminal: raw mode, its size, and the keys that detach."""

from __future__ import annotations

import os

from pyctl_hookspecs.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"


class RawTerminal:
    """A terminal in raw mode until ``restore``."""

    def __init__(self, descriptor: int) -> None:
        import termios
        import tty

        self._descriptor = descriptor
        self._before: list[Any] | None = termios.tcgetattr(descriptor)
        tty.setraw(descriptor, termios.TCSANOW)

    def restore(self) -> None:
        """Give the terminal back as it was. Safe to call twice."""
        import termios

        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
            self._before = None


def terminal_size(descriptor: int) -> tuple[int, int]:
    """Columns and rows; (0, 0) if it is no terminal or does not say."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return 0, 0
    return columns, rows


def user_terminal_size() -> tuple[int, int]:
    """Columns and rows of the terminal this command is on, whichever of its streams still leads there; else (0, 0)."""
    return next((size for size in map(terminal_size, (2, 1, 0)) if size[0]), (0, 0))


def parse_detach_keys(text: str) -> bytes:
    """The bytes of a detach sequence such as ``ctrl-p,ctrl-q`` or ``a,ctrl-x``.

    Raises:
        InvalidArgumentError: names the key that is none; Docker's words.
    """
    keys = bytearray()
    for key in text.split(","):
        letter = key.removeprefix("ctrl-")
        if len(key) == 1 and key.isascii():
            keys += key.encode()
        elif key.startswith("ctrl-") and len(letter) == 1 and ((letter.isascii() and letter.isalpha()) or letter in "@[\\]^_"):
            keys.append(ord(letter.upper()) & 0x1F)
        else:
            raise InvalidArgumentError(f"invalid detach keys ({text}): unknown character: '{key}'")
    return bytes(keys)


class DetachWatch:
    """Finds the detach sequence in typed bytes; half a sequence is held back until it is decided."""

    def __init__(self, keys: bytes) -> None:
        self._keys, self._held = keys, b""

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence was completed."""
        data = self._held + typed
        self._held = b""
        if not self._keys:
            return data, False
        at = data.find(self._keys)
        if at >= 0:
            return data[:at], True
        for length in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:length]):
                self._held = data[-length:]
                return data[:-length], False
        return data, False
