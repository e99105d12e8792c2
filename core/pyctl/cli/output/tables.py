"""Columns as Docker's tabwriter lays them out: at least 10 wide, padded by 3 spaces, the last cell left as it is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MIN_WIDTH, _PADDING = 10, 3


def align(lines: Sequence[Sequence[str]]) -> str:
    """Text of lines of cells, each line ended.

    A column is a run of neighbouring lines that have that cell, as in Go's text/tabwriter, so lines of unequal length keep
    their own widths.
    """
    out: list[str] = []
    _block(lines, 0, len(lines), [], out)
    return "".join(out)


def _block(lines: Sequence[Sequence[str]], start: int, end: int, widths: list[int], out: list[str]) -> None:
    column = len(widths)
    line = start
    while line < end:
        if column >= len(lines[line]) - 1:
            line += 1
            continue
        _write(lines[start:line], widths, out)
        start, width = line, _MIN_WIDTH
        while line < end and column < len(lines[line]) - 1:
            width = max(width, len(lines[line][column]) + _PADDING)
            line += 1
        _block(lines, start, line, [*widths, width], out)
        start = line
    _write(lines[start:end], widths, out)


def _write(lines: Sequence[Sequence[str]], widths: Sequence[int], out: list[str]) -> None:
    for cells in lines:
        for index, cell in enumerate(cells):
            out.append(cell.ljust(widths[index]) if index < len(widths) else cell)
        out.append("\n")


def align_text(text: str) -> str:
    """The same for text with tabs between its cells."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return align([line.split("\t") for line in lines])
