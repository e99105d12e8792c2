"""A web server in a container, waited for where it listens: a request is then made once, and must succeed."""

from __future__ import annotations

import subprocess
import time

from tests.integration.conftest import Pyctl

SERVE = "mkdir -p /www && echo served > /www/index.html && exec httpd -f -p [::]:80 -h /www"
_LISTENING = "0A"


def wait_until_served(pyctl: Pyctl, *containers: str) -> None:
    """Return when a process listens on TCP port 80 in the network namespace of each container."""
    for pid in pyctl("inspect", "--format", "{{.State.Pid}}", *containers).out.split():
        give_up = time.monotonic() + 20
        while not _listens(pid):
            assert time.monotonic() < give_up, "the server in the container never listened"
            time.sleep(0.01)


def get(url: str) -> str:
    """Fetch a page over the published port or an address; one try."""
    command = ["curl", "-sS", "--max-time", "10", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _listens(pid: str) -> bool:
    lines = []
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}") as file:
            lines += file.read().splitlines()[1:]
    return any(fields[1].endswith(":0050") and fields[3] == _LISTENING for fields in map(str.split, lines))
