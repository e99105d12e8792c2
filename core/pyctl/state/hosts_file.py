"""What stands in a hosts file: a generated region in nerdctl's format, kept between markers, in a file rewritten in place."""

from __future__ import annotations

import os

from pyctl.keeper.names import addresses, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_BEGIN, _END = "# <nerdctl>", "# </nerdctl>"
_LOCALHOST = ("localhost", "localhost.localdomain")


class Peers:
    """The lines about everybody, made once per set of networks: with a hundred containers most sets are the same."""

    def __init__(self, metas: Iterable[Mapping[str, Any]]) -> None:
        self._lines: list[tuple[str, str]] = []
        for meta in metas:
            for network, result in (meta.get("Networks") or {}).items():
                names = names_of(meta, network)
                self._lines += [(network, _line(address, names)) for address in addresses(result)]
        self._known: dict[frozenset[str], str] = {}

    def of(self, networks: Iterable[str]) -> str:
        """The lines about every container that shares one of these networks."""
        key = frozenset(networks)
        if key not in self._known:
            self._known[key] = "".join(text for network, text in self._lines if network in key)
        return self._known[key]

    def lines(self) -> list[bytes]:
        """Every line, as it stands in a file."""
        return [text.encode(errors="surrogateescape") for _, text in self._lines]


def region(meta: Mapping[str, Any], peers: Peers) -> str:
    """The generated lines of one container's hosts file, without the markers."""
    lines = [_line("127.0.0.1", _LOCALHOST), _line("::1", _LOCALHOST)]
    lines += [_line(address, (host,)) for host, address in (meta.get("ExtraHosts") or {}).items()]
    return "".join(lines) + peers.of(meta.get("Networks") or {})


def with_region(text: str, generated: str) -> str:
    """Replace the marked region, or put it at the end; what stands outside is kept.

    A region whose end is missing (somebody wrote the file by hand) is taken to be as long as the file.
    """
    block = f"{_BEGIN}\n{generated}{_END}\n"
    before, begin, rest = text.partition(_BEGIN + "\n")
    if not begin:
        return text + ("" if not text or text.endswith("\n") else "\n") + block
    _old, end, after = rest.partition(_END)
    return before + block + (after.removeprefix("\n") if end else "")


def _line(address: str, names: Iterable[str]) -> str:
    return f"{address:<15} {' '.join(names)}\n"


def write_region(path: str, generated: str) -> None:
    """Rewrite a hosts file in place; one that does not exist was made with a hosts file of its own."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        old = read_all(fd)
        new = with_region(old.decode(errors="surrogateescape"), generated).encode(errors="surrogateescape")
        if new != old:
            # One write, then cut: a reader never sees an empty file, and one who is killed in between leaves empty lines.
            os.pwrite(fd, new + b"\n" * (len(old) - len(new)), 0)
            if len(new) < len(old):
                os.ftruncate(fd, len(new))
    finally:
        os.close(fd)


def read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size + 1
    data = b""
    while piece := os.read(fd, size):
        data += piece
        if len(piece) < size:
            break
    return data
