"""What a test may leave behind on the host: nothing. A census of everything pyctl makes, taken before and after."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator

from tests.integration.engines import Engine

Census = dict[str, frozenset[str]]

_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}(?![\d./])|[\d.]+/32")
_DEFAULT_BRIDGE = "nerdctl0"  # made with the first container, kept for the next like Docker's docker0
_ENDURING = re.compile(r"(^|/)(lock|last_reserved_ip\.\d+|\.[^/]*lock)$")
# Below the data root: the installed keeper, its own files, and what can be looked up again.
_KEPT = re.compile(r"bin/|[0-9a-f]{8}/(cache/|keeper/(socket|keeper\.log|runtime-dir)$)")


def census(engine: Engine) -> Census:
    """Everything that exists now, by kind, in words that name it.

    Left out on purpose, because they are kept for the next container: the default bridge with the rules that
    name no container, pulled images with their layers, the keeper and caches, empty directories, lock files.
    """
    return {
        "namespace pin": _names("/run/pyctl/netns"),
        "runtime file": _tree("/run/pyctl", skip=("netns", "keeper")) - {f"bridges/{_DEFAULT_BRIDGE}"},
        "link": _names("/sys/class/net") - {_DEFAULT_BRIDGE},
        "nft rule or element": _rules(),
        "address lease": _tree("/var/lib/cni"),
        "listening port": frozenset(_listeners()),
        "state file": frozenset(path for path in _tree(engine.data_root) if not _KEPT.match(path)),
        "network configuration": _tree(engine.netconf_path) - {"nerdctl-bridge.conflist"},
        "fifo": _tree("/run/containerd/fifo"),
        "mount": frozenset(_mounts()) - {"/run/pyctl/netns"},  # made with the first pin, as ip-netns makes /run/netns
        "process": frozenset(_processes(engine)),
        "cgroup": frozenset(_cgroups(engine.namespace)),
        "runtime's container": _names(f"/run/containerd/runc/{engine.namespace}"),
        "shim socket": _names("/run/containerd/s"),
        "container": _lines(engine.ctr("containers", "ls", "-q")),
        "task": _lines(engine.ctr("tasks", "ls", "-q")),
        "snapshot": frozenset(line for line in _lines(engine.ctr("snapshots", "ls")) if line.split()[-1] in ("Active", "View")),
        "lease": _lines(engine.ctr("leases", "ls", "-q")),
        "wait for output that nobody ends": frozenset(_undrained(engine)),
        "ingest": frozenset(line.split()[0] for line in engine.ctr("content", "active").splitlines()[1:]),
    }


def new(before: Census, engine: Engine, *, deadline_s: float = 15.0) -> list[str]:
    """What exists now and did not before, one phrase each.

    The keeper releases what an exited container used in its own time, so this looks again until nothing is
    left or ``deadline_s`` have passed.
    """
    give_up = time.monotonic() + deadline_s
    while True:
        after = census(engine)
        found = [f"{kind} {name}" for kind, names in after.items() for name in sorted(names - before[kind])]
        if not found or time.monotonic() > give_up:
            return found
        time.sleep(0.05)


def _names(path: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(path))
    except FileNotFoundError:
        return frozenset()


def _lines(text: str) -> frozenset[str]:
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def _tree(base: str, skip: tuple[str, ...] = ()) -> frozenset[str]:
    """Paths of files (not directories) below ``base``, without lock files and the first-level names in ``skip``."""
    found = set()
    for folder, _, files in os.walk(base):
        for name in files:
            path = os.path.relpath(f"{folder}/{name}", base)
            if not path.startswith(skip) and not _ENDURING.search(path):
                found.add(path)
    return frozenset(found)


def _rules() -> frozenset[str]:
    """Lines of the nft ruleset that name one container's address, without their counters."""
    text = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    found = set()
    for line in text.splitlines():
        for address in _ADDRESS.findall(line):
            if not address.startswith(("127.", "0.0.0.0")) and not address.split("/")[0].endswith((".0", ".1", ".255")):
                found.add(f"{address} in {re.sub(r'counter packets [0-9]+ bytes [0-9]+', 'counter', line).strip()}")
    return frozenset(found)


def _listeners() -> Iterator[str]:
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{protocol}") as table:
            for line in list(table)[1:]:
                fields = line.split()
                if protocol.startswith("udp") or fields[3] == "0A":
                    yield f"{int(fields[1].rsplit(':', 1)[1], 16)}/{protocol}"


def _undrained(engine: Engine) -> Iterator[str]:
    """What the shims of containerd 2.x say after ten seconds of waiting, which somebody waited with them."""
    with open(f"{engine.base}/containerd.log") as log:
        yield from (line.strip() for line in log if "failed to drain" in line)


def _mounts() -> Iterator[str]:
    with open("/proc/self/mountinfo") as table:
        for line in table:
            yield line.split()[4]


def _processes(engine: Engine) -> Iterator[str]:
    """Everything but containerd that shares our private mount namespace: shims, loggers, helpers."""
    ours = os.stat("/proc/self/ns/mnt").st_ino
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == engine.process.pid:
            continue
        try:
            if os.stat(f"/proc/{entry}/ns/mnt").st_ino != ours:
                continue
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                text = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # gone in the meantime
        if text and "pyctl.keeper" not in text:
            yield f"{entry}: {text}"


def _cgroups(namespace: str) -> Iterator[str]:
    for folder, folders, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(folder) == namespace:
            yield from (f"{folder}/{name}" for name in folders)
            folders.clear()
