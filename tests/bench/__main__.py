"""The comparison: what is measured, and the table. How each tool is called is in ``tools``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from statistics import median

from tests.bench import measure
from tests.bench.tools import Tool, by_cni, find_tools
from tests.integration import engines, images

FIFTY, THIRTY = 50, 30
PULLS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="pyctl beside its peers; prints a table, asserts nothing"
    )
    parser.add_argument("--rounds", type=int, default=20, help="how often each command is timed (default 20)")
    parser.add_argument("--engine", choices=engines.VERSIONS, default="2.x", help="containerd version (default 2.x)")
    parser.add_argument("--quick", action="store_true", help="leave out batches of containers and the large pull")
    options = parser.parse_args()
    base = tempfile.mkdtemp(prefix="pyctl-bench-")
    registry = images.Registry(f"{base}/registry")
    engine = engines.start(options.engine, f"{base}/engine", f"bench-{os.getpid()}")
    table = Table()
    try:
        busybox = registry.push("library/busybox", [images.busybox_layer()], config={"Cmd": ["sh"]})
        tools = find_tools(engine, _install(base))
        for tool in tools:
            tool.pull(busybox)
        _short(table, tools, busybox, options.rounds)
        _bridges(table, tools, by_cni(tools[0], base), busybox, options.rounds)
        if not options.quick:
            _removals(table, tools, busybox)
            _many(table, tools, busybox, options.rounds)
            big = registry.push("library/big", measure.big_layers())
            _pulls(table, tools, big)
    finally:
        engines.stop(engine)
        registry.stop()
        engines.remove_tree(base)
    table.show()


def _install(base: str) -> str:
    """``bin`` of a fresh virtual environment with pyctl from a wheel, byte code included."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", f"{base}/dist", "."]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "venv", f"{base}/venv"], check=True)
    (wheel,) = os.listdir(f"{base}/dist")
    pip = [f"{base}/venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", f"{base}/dist/{wheel}"]
    subprocess.run(pip, check=True)
    return f"{base}/venv/bin"


class Table:
    """Rows of measurements, a column for each tool."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, str]] = {}
        self._columns: dict[str, None] = {}

    def add(self, row: str, tool: str, value: str) -> None:
        self._rows.setdefault(row, {})[tool] = value
        self._columns[tool] = None
        print(f"{row}: {tool} {value}", file=sys.stderr)

    def show(self) -> None:
        width = max(map(len, self._rows)) + 2
        print("".ljust(width) + "".join(column.rjust(14) for column in self._columns))
        for row, values in self._rows.items():
            print(row.ljust(width) + "".join(values.get(column, "-").rjust(14) for column in self._columns))


def _short(table: Table, tools: Sequence[Tool], image: str, rounds: int) -> None:
    interpreter = tools[0].interpreter
    table.add("bare python -I -c pass, ms", "python", measure.median_ms([interpreter, "-I", "-c", "pass"], rounds))
    kinds: list[tuple[str, Callable[[Tool], list[str] | None]]] = [
        ("--version", lambda tool: [*tool.command, "--version"]),
        ("run --rm --network none true", lambda tool: tool.run(image, network="none")),
        ("run --rm true (bridge)", lambda tool: tool.run(image, network="bridge")),
        ("run --rm -p true (bridge, a port)", lambda tool: tool.run(image, network="bridge", port=True)),
        ("ps with 0", lambda tool: tool.ps()),
    ]
    for row, command in kinds:
        for tool in tools:
            argv = command(tool)
            if argv:
                table.add(f"{row}, ms", tool.name, measure.median_ms(argv, rounds))


def _bridges(table: Table, tools: Sequence[Tool], binaries: Tool | None, image: str, rounds: int) -> None:
    """What a network costs on top of a run: in process, by CNI's binaries, and elsewhere."""
    for tool in [tools[0], *([binaries] if binaries else []), *tools[1:]]:
        for row, port in (("the bridge adds", False), ("the bridge and a port add", True)):
            less, more = tool.run(image, network="none"), tool.run(image, network="bridge", port=port)
            if less and more:
                added = measure.difference_ms(less, more, rounds)
                text = "failed" if added is None else f"{added:.0f}"
                table.add(f"{row} to run --rm --network none, ms", tool.name, text)


def _removals(table: Table, tools: Sequence[Tool], image: str) -> None:
    names = [f"bench{number}" for number in range(THIRTY)]
    for tool in tools:
        together = tool.remove_command(names)
        if together is None:
            continue
        measure.at_once([tool.start(image, name) for name in names], 8)
        alone_s = measure.one_by_one(argv for name in names if (argv := tool.remove_command([name])))
        measure.at_once([tool.start(image, name) for name in names], 8)
        together_s = measure.one_by_one([together])
        table.add(f"rm -f of {THIRTY}, one by one, s", tool.name, f"{alone_s:.2f}")
        table.add(f"rm -f of {THIRTY} in one command, s", tool.name, f"{together_s:.2f}")
        table.add("that many times faster", tool.name, f"{alone_s / together_s:.1f}")


def _many(table: Table, tools: Sequence[Tool], image: str, rounds: int) -> None:
    for tool in tools:
        for count in (20, FIFTY):
            before = measure.helpers()
            seconds = measure.at_once([tool.start(image, f"bench{number}") for number in range(count)], 8)
            if count == FIFTY:
                table.add(f"{FIFTY} x run -d, eight at a time, s", tool.name, f"{seconds:.1f}")
                kib = measure.pss_kib(measure.helpers() - before, tool.helpers)
                table.add("helpers' PSS per detached container, KiB", tool.name, f"{kib / count:.0f}")
            argv = tool.ps()
            table.add(f"ps with {count}, ms", tool.name, measure.median_ms(argv, rounds))
            begun = time.monotonic()
            tool.remove([f"bench{number}" for number in range(count)])
            if count == FIFTY:
                table.add(f"rm -f of the {FIFTY}, s", tool.name, f"{time.monotonic() - begun:.1f}")
        made = [tool.create(image, f"bench{number}") for number in range(500)]
        if None not in made:
            measure.at_once([argv for argv in made if argv], 4)
            table.add("ps -a with 500 created, ms", tool.name, measure.median_ms(tool.ps(all_of_them=True), rounds))
            tool.remove([f"bench{number}" for number in range(500)])


def _pulls(table: Table, tools: Sequence[Tool], image: str) -> None:
    """The rounds are interleaved: what else the machine does meets every tool alike."""
    took: dict[str, list[float]] = {tool.name: [] for tool in tools}
    peaks: dict[str, float] = {}
    for _ in range(PULLS):
        for tool in tools:
            seconds, peak_mib = measure.timed(tool.pull_command(image))
            took[tool.name].append(seconds)
            peaks[tool.name] = max(peak_mib, peaks.get(tool.name, 0))
            tool.remove_image(image)
    for tool in tools:
        table.add(f"pull of 540 MB in eight layers, s (median of {PULLS})", tool.name, f"{median(took[tool.name]):.2f}")
        table.add("its client's resident memory, MiB (the highest)", tool.name, f"{peaks[tool.name]:.0f}")


if __name__ == "__main__":
    main()
