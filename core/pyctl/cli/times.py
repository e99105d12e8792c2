"""Moments as Docker's ``--since`` and ``--until`` take them: RFC 3339, a date, seconds since the epoch, or "42m" ago."""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse_moment(flag: str, text: str, now_s: float) -> float | None:
    """Seconds since the epoch; None for an empty text.

    Raises:
        InvalidArgumentError: anything else; Docker's words.
    """
    if not text:
        return None
    for read in (_seconds, _ago, _calendar):
        try:
            return read(text, now_s)
        except ValueError:
            continue
    raise InvalidArgumentError(f'invalid value for "{flag}": failed to parse value as time or duration: "{text}"')


def _seconds(text: str, now_s: float) -> float:
    if not text.replace(".", "", 1).isdecimal():
        raise ValueError(text)
    return float(text)


def _ago(text: str, now_s: float) -> float:
    """Go's duration syntax; a negative one lies ahead."""
    rest, sign, total = text, 1.0, 0.0
    if rest[:1] in ("+", "-"):
        sign, rest = (-1.0 if rest[0] == "-" else 1.0), rest[1:]
    if not rest:
        raise ValueError(text)
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("hmsnuµ"))]
        rest = rest[len(unit) :]
        if unit not in _UNITS:
            raise ValueError(text)
        total += float(number) * _UNITS[unit]
    return now_s - sign * total


def _calendar(text: str, now_s: float) -> float:
    from datetime import datetime

    fixed = text.replace("Z", "+00:00") if text.endswith("Z") else text
    head, dot, fraction = fixed.partition(".")
    if dot:  # nanoseconds are three digits more than datetime takes
        digits = len(fraction) - len(fraction.lstrip("0123456789"))
        fixed = f"{head}.{fraction[:digits][:6].ljust(6, '0')}{fraction[digits:]}"
    return datetime.fromisoformat(fixed).timestamp()


def utc_seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; one in UTC without the 4 ms that ``datetime`` takes to import."""
    if not text.endswith("Z"):
        return _calendar(text, 0.0)
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    # Days since the epoch in the Gregorian calendar, with years that begin in March.
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    fraction = text[19:].rstrip("Z")
    seconds = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    return days * 86400 + seconds + (float(f"0{fraction}") if fraction else 0.0)
