"""How things are measured: hyperfine for commands, the clock for batches, /proc for memory."""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from tests.integration.images import tar


def median_ms(argv: Sequence[str], rounds: int) -> str:
    """Median wall time of a command in milliseconds, by hyperfine without a shell, after two warm-up runs."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = ["hyperfine", "-N", "-w", "2", "-r", str(rounds), "--export-json", report.name, shlex.join(argv)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return "failed"
        return f"{json.load(report)['results'][0]['median'] * 1000:.0f}"


def difference_ms(less: Sequence[str], more: Sequence[str], rounds: int) -> float | None:
    """What the second command takes longer than the first: the median over ``rounds`` pairs, after one to warm up.

    The pairs are run back to back, so what else the machine does meets both alike. None if one of them fails.
    """
    took: list[float] = []
    for _ in range(rounds + 1):
        pair = []
        for argv in (less, more):
            begun = time.monotonic()
            if subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode != 0:
                return None
            pair.append(time.monotonic() - begun)
        took.append((pair[1] - pair[0]) * 1000)
    return median(took[1:])


def one_by_one(commands: Iterable[Sequence[str]]) -> float:
    """Seconds for all of the commands, one after the other."""
    begun = time.monotonic()
    for argv in commands:
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def at_once(commands: Iterable[Sequence[str]], parallel: int) -> float:
    """Seconds for all of the commands, ``parallel`` at a time."""
    begun = time.monotonic()
    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(lambda argv: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL), commands))
    return time.monotonic() - begun


_TIMED = """
import os, sys, time
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
begun = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - begun, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def timed(argv: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak resident MiB of one command.

    A small process starts it: the kernel counts what its parent had before the exec as the command's own, and we hold
    the layers of an image.
    """
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _TIMED, *argv], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(argv)}: exit code {done.returncode}")
    seconds, kib = done.stdout.split()
    return float(seconds), int(kib) / 1024


def helpers() -> frozenset[int]:
    """Every process there is now; the difference of two of these is what a batch started."""
    return frozenset(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def pss_kib(pids: Iterable[int], words: Sequence[str]) -> int:
    """Proportional memory of those processes whose command line holds one of the words."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                text = file.read().decode(errors="replace")
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                pss = next(line for line in rollup if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
        if any(word in text for word in words):
            total += int(pss.split()[1])
    return total


def big_layers() -> list[bytes]:
    """Eight layers of 67 MB, half of it incompressible, with some small files: the same bytes every time."""
    layers = []
    for number in range(8):
        noise = random.Random(number)
        text = (noise.randbytes(1 << 20).hex() + "\n").encode() * 16
        files: dict[str, bytes | str] = {f"data{number}/noise": noise.randbytes(32 << 20), f"data{number}/text": text}
        files |= {f"many/{number}-{index}": str(index).encode() for index in range(300)}
        layers.append(tar(files))
    return layers
