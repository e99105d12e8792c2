"""Sizes, durations and CPU counts as Docker writes them, with Docker's wording when they are wrong."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def refuse_flag(text: str, flag: str, why: str) -> NoReturn:
    """Refuse a flag's value the way Docker's command line does; ``flag`` includes its shorthand (``-m, --memory``).

    Raises:
        InvalidArgumentError: always; exit code 125.
    """
    from pyctl_hookspecs.errors import InvalidArgumentError

    raise InvalidArgumentError(f'invalid argument "{text}" for "{flag}" flag: {why}', exit_code=125)


def refuse(message: str) -> NoReturn:
    """Refuse a request in the words of Docker's engine, which has the last look at it.

    Raises:
        InvalidArgumentError: always; exit code 1, as for ``docker create``. ``run`` turns it into 125.
    """
    from pyctl_hookspecs.errors import InvalidArgumentError

    raise InvalidArgumentError(message)


def refuse_early(message: str) -> NoReturn:
    """Refuse a request in the words of Docker's command line, which never asks the engine then.

    Raises:
        InvalidArgumentError: always; exit code 125.
    """
    from pyctl_hookspecs.errors import InvalidArgumentError

    raise InvalidArgumentError(message, exit_code=125)


def size_bytes(text: str) -> int:
    """Bytes of a size with 1024-based units: ``512m``, ``1.5g``, ``64 KiB``, ``4096``, ``10b``.

    Raises:
        ValueError: with Docker's wording.
    """
    end = max((i for i, c in enumerate(text) if c in "0123456789. "), default=-1)
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = text[: end + 1].rstrip(" "), text[end + 1 :].lower()
    if not number.replace(".", "", 1).isdecimal() or not number.isascii():
        if number[:1] in "-+" and number[1:].replace(".", "", 1).isdecimal():
            raise ValueError(f"invalid size: '{text}'")
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": invalid syntax')
    if not suffix or suffix == "b":
        return int(float(number))
    factor = _BINARY.get(suffix[0])
    if factor is None or suffix[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{suffix}'")
    whole, _, fraction = number.partition(".")
    return int(whole or "0") * factor + (int(float("0." + fraction) * factor) if fraction else 0)


def flag_bytes(text: str, flag: str) -> int:
    """Bytes of a flag's size; an empty text is 0.

    Raises:
        InvalidArgumentError: names the flag and the text.
    """
    if not text:
        return 0
    try:
        return size_bytes(text)
    except ValueError as error:
        refuse_flag(text, flag, str(error))


def nano_cpus(text: str) -> int:
    """CPUs times 10^9: ``0.5``, ``2``, ``1/4``, ``1e-1``.

    Raises:
        InvalidArgumentError: names the flag.
    """
    if not text:
        return 0
    if text.isdecimal():
        return int(text) * 1_000_000_000
    whole, dot, fraction = text.partition(".")
    if dot and len(fraction) <= 9 and (whole + fraction).isdecimal():
        return int(whole or "0") * 1_000_000_000 + int(fraction.ljust(9, "0"))
    from fractions import Fraction  # only for the spellings nobody uses

    try:
        nano = Fraction(text.replace(" ", "x")) * 1_000_000_000
    except (ValueError, ZeroDivisionError):
        refuse_flag(text, "--cpus", f"failed to parse {text} as a rational number")
    if nano.denominator != 1:
        refuse_flag(text, "--cpus", "value is too precise")
    return int(nano)
