"""``version``, and ``system status|start|stop|restart|reconcile``: which pyctl this is and which containerd it talks to."""

from __future__ import annotations

from pyctl_hookspecs.errors import PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.engine.managed import Started, Status
    from pyctl.ops.session import Session
    from pyctl.ops.settings import Settings

API_VERSION = "1.45"  # of the Docker release whose command line this is; programs ask for at least 1.41
MINIMUM_API_VERSION = "1.24"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm", "riscv64": "riscv64"}


class Versions(Record):
    """``server`` is None when nobody answered, and ``error`` says why."""

    client: dict[str, Any]
    server: dict[str, Any] | None = None
    error: PyctlError | None = None

    def docker(self) -> dict[str, Any]:
        """The object of ``docker version --format json``."""
        return {"Client": self.client, "Server": self.server}


def versions(settings: Settings) -> Versions:
    """Ours and the daemon's. Starts no engine: whoever asks what there is must not change it."""
    try:
        session = look(settings)
        try:
            return Versions(client=client_version(), server=_server_version(session))
        finally:
            session.close()
    except PyctlError as error:
        return Versions(client=client_version(), error=error)


def look(settings: Settings) -> Session:
    """A session on the daemon that answers, the system's or ours; never one that had to be started for it.

    Raises:
        UnavailableError: nobody answers.
    """
    from pyctl.engine.find import is_vacant
    from pyctl.engine.places import places
    from pyctl.ops.session import Session

    if not settings.is_address_explicit and is_vacant(settings.address):
        ours = places(settings).address
        if not is_vacant(ours):
            return Session(settings.replace(address=ours))
    session = Session(settings)
    session.client.version()
    return session


def client_version() -> dict[str, Any]:
    """The ``Client`` object."""
    import sys

    return {
        "Version": installed_version(),
        "ApiVersion": API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": "linux",
        "Arch": architecture(),
        "BuildTime": "",
        "Context": "default",
    }


def installed_version() -> str:
    """The version of the installed distribution."""
    from pyctl.providers.scan import OURS, version_of

    return version_of(OURS) or "unknown"  # a source tree that was never installed


def architecture() -> str:
    """Go's word for this machine's."""
    import os

    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def runtime_version(program: str) -> tuple[str, str] | None:
    """Version and commit of an OCI runtime in PATH; None if there is none that answers."""
    import subprocess

    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines() or [""]
    commit = next((line.partition(":")[2].strip() for line in lines if line.startswith("commit:")), "")
    return lines[0].rpartition(" ")[2], commit


def _server_version(session: Session) -> dict[str, Any]:
    import os

    number, revision = session.client.version()
    components: list[dict[str, Any]] = [{"Name": "containerd", "Version": number, "Details": {"GitCommit": revision}}]
    for program in ("runc", "crun"):
        found = runtime_version(program)
        if found is not None:
            components.append({"Name": program, "Version": found[0], "Details": {"GitCommit": found[1]}})
    return {
        "Platform": {"Name": ""},
        "Components": components,
        "Version": number,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MINIMUM_API_VERSION,
        "GitCommit": revision,
        "GoVersion": "",
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": os.uname().release,
        "BuildTime": "",
    }


def status(settings: Settings) -> Status:
    """Our own engine and the system's."""
    from pyctl.engine import managed

    return managed.status(settings)


def start(settings: Settings) -> Started:
    """Start our own engine; one that runs is a success.

    Raises:
        UnavailableError: a program is missing, or it did not come up.
    """
    from pyctl.engine import managed

    return managed.start(settings)


def stop(settings: Settings) -> None:
    """Stop our own engine; containers keep running. One that does not run is a success.

    Raises:
        UnavailableError: it does not end.
    """
    from pyctl.engine import managed

    managed.stop(settings)


def restart(settings: Settings) -> Started:
    """Stop our own engine and start it again.

    Raises:
        UnavailableError: see ``start`` and ``stop``.
    """
    from pyctl.engine import managed

    return managed.restart(settings)


def reconcile(session: Session) -> list[str]:
    """Undo what interrupted commands left behind; returns a line for each thing that was done.

    Raises:
        BaseExceptionGroup: what could not be undone.
    """
    from pyctl.ops import reconciling

    return reconciling.reconcile(session)
