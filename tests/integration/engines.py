"""Private containerd instances for the tests: started here, ended here by process ID, with all that hangs on them."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

CACHE = os.environ.get("PYCTL_TEST_CACHE", "/var/cache/pyctl-tests")
VERSIONS = ("1.6", "2.x")

BINARIES = {"1.6": "/usr/bin", "2.x": f"{CACHE}/containerd-2/bin"}
_CONFIG = {
    "1.6": """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "{address}"
""",
    "2.x": """\
version = 3
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
[grpc]
address = "{address}"
""",
}


@dataclass(eq=False)
class Engine:
    """One running containerd and everything pyctl needs to be told to use nothing else."""

    version: str
    base: str
    address: str
    data_root: str
    netconf_path: str
    hosts_dir: str
    namespace: str
    process: subprocess.Popen[bytes]

    @property
    def binaries(self) -> str:
        return BINARIES[self.version]

    @property
    def flags(self) -> list[str]:
        """pyctl's global flags for this instance."""
        return [
            f"--address={self.address}",
            f"--namespace={self.namespace}",
            f"--data-root={self.data_root}",
            f"--cni-netconfpath={self.netconf_path}",
            f"--hosts-dir={self.hosts_dir}",
        ]

    def ctr(self, *args: str) -> str:
        """Standard output of this version's own ``ctr``: a second opinion that owes pyctl nothing."""
        command = [f"{self.binaries}/ctr", f"--address={self.address}", f"--namespace={self.namespace}", *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def restart(self) -> None:
        """Kill containerd, leave shims and containers running, and start it again on the same directories."""
        self.process.kill()
        self.process.wait()
        self.process = start(self.version, self.base, self.namespace).process


def start(version: str, base: str, namespace: str) -> Engine:
    """Start containerd below ``base`` and return once it says that it is ready."""
    binaries = BINARIES[version]
    if not os.access(f"{binaries}/containerd", os.X_OK):
        raise RuntimeError(f"{binaries}/containerd is missing; tests/run installs it")
    engine = {name: f"{base}/{name}" for name in ("root", "state", "data", "cni", "hosts")}
    for path in engine.values():
        os.makedirs(path, mode=0o711, exist_ok=True)
    address = f"{base}/containerd.sock"
    with open(f"{base}/config.toml", "w") as config:
        config.write(_CONFIG[version].format(root=engine["root"], state=engine["state"], address=address))
    process = _spawn([f"{binaries}/containerd", "--config", f"{base}/config.toml"], base, binaries)
    return Engine(
        version=version,
        base=base,
        address=address,
        data_root=engine["data"],
        netconf_path=engine["cni"],
        hosts_dir=engine["hosts"],
        namespace=namespace,
        process=process,
    )


def _spawn(command: list[str], base: str, binaries: str) -> subprocess.Popen[bytes]:
    notify = f"{base}/notify.sock"
    if os.path.exists(notify):
        os.unlink(notify)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(f"{base}/containerd.log", "ab") as log:
        ready.bind(notify)
        ready.settimeout(30)
        path = f"{binaries}:{os.environ['PATH']}"  # the shim of the same version comes first
        env = {**os.environ, "PATH": path, "NOTIFY_SOCKET": notify}
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            while b"READY=1" not in ready.recv(4096):
                pass
        except TimeoutError:
            process.kill()
            process.wait()
            with open(f"{base}/containerd.log") as text:
                raise RuntimeError(f"{command[0]} did not start:\n{text.read()[-3000:]}") from None
    return process


def stop(engine: Engine) -> None:
    """End containerd, its shims and containers and whatever pyctl left running for it; remove its directories."""
    engine.process.terminate()
    try:
        engine.process.wait(20)
    except subprocess.TimeoutExpired:
        engine.process.kill()
        engine.process.wait()
    for pid in (*processes(lambda text: engine.address in text or engine.data_root in text), *members(engine.namespace)):
        end(pid)
    remove_tree(engine.base)


def processes(matches: Callable[[str], bool]) -> list[int]:
    """Other processes whose command line matches."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    text = file.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if matches(text):
                found.append(int(entry))
    return found


def members(namespace: str) -> list[int]:
    """Processes in the cgroups of a containerd namespace: containers that outlived their shim."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cgroup") as file:
                    if f"/{namespace}/" in file.read():
                        found.append(int(entry))
            except OSError:
                continue
    return found


def end(pid: int) -> None:
    """Kill one process and wait until it is gone, child of ours or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], 10)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def remove_tree(base: str) -> None:
    """Unmount what is mounted below ``base`` and delete it."""
    with open("/proc/self/mountinfo") as table:
        mounted = [line.split()[4] for line in table]
    for path in sorted((path for path in mounted if path.startswith(f"{base}/")), reverse=True):
        subprocess.run(["umount", "-l", path], check=True)
    shutil.rmtree(base)
