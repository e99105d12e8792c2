"""Where our own engine keeps its things: data below the data root, everything a reboot may forget below /run."""

from __future__ import annotations

import os

from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class Settings(Protocol):
    """What this room reads of ``pyctl.ops.settings.Settings``."""

    @property
    def address(self) -> str: ...
    @property
    def data_root(self) -> str: ...
    @property
    def runtime_dir(self) -> str: ...


class Places(Record):
    """Absolute paths of one engine. There is one engine per data root."""

    home: str
    runtime: str

    @property
    def root(self) -> str:
        """containerd's ``root``: images, snapshots and metadata."""
        return f"{self.home}/root"

    @property
    def log(self) -> str:
        return f"{self.home}/containerd.log"

    @property
    def binaries(self) -> str:
        """First in the engine's PATH: ``runc`` points to crun here when the machine has no runc."""
        return f"{self.home}/bin"

    @property
    def state(self) -> str:
        return f"{self.runtime}/state"

    @property
    def address(self) -> str:
        return f"{self.runtime}/containerd.sock"

    @property
    def config(self) -> str:
        return f"{self.runtime}/config.toml"

    @property
    def pid_file(self) -> str:
        """Holds ``PID START``: the start time (clock ticks since boot) tells a reused number from our process."""
        return f"{self.runtime}/pid"

    @property
    def lock(self) -> str:
        return f"{self.runtime}/lock"

    @property
    def notify(self) -> str:
        return f"{self.runtime}/ready.sock"

    @property
    def runc_root(self) -> str:
        return f"{self.runtime}/runc"


def places(settings: Settings) -> Places:
    """The engine of this data root; computed, nothing is looked up or made."""
    import hashlib

    key = hashlib.sha256(settings.data_root.encode()).hexdigest()[:8]
    return Places(home=f"{settings.data_root}/engine", runtime=f"{settings.runtime_dir}/engine/{key}")


def runc_root(address: str) -> str:
    """Where runc keeps its state for the daemon at ``address``: empty (runc's default) unless that is an engine of ours.

    containerd's default, one folder per namespace for all daemons of a machine, would let two of them meet there.
    """
    runtime = os.path.dirname(address.removeprefix("unix://"))
    if os.path.basename(os.path.dirname(runtime)) == "engine" and os.path.exists(f"{runtime}/config.toml"):
        return f"{runtime}/runc"
    return ""
