"""CNI plug-ins that do nothing but remember how they were called, and answer as they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyctl_plugins.network._cni_lock import Turn

_SCRIPT = """#!/bin/sh
me=${0##*/} dir=${0%/*}/../calls
echo "$CNI_COMMAND $me" >> "$dir/order"
cat > "$dir/$me.$CNI_COMMAND.in"
env | grep '^CNI_' > "$dir/$me.$CNI_COMMAND.env"
[ ! -e "$dir/$me.$CNI_COMMAND.sh" ] || . "$dir/$me.$CNI_COMMAND.sh"
[ ! -e "$dir/$me.$CNI_COMMAND.out" ] || cat "$dir/$me.$CNI_COMMAND.out"
"""


class Fakes:
    """A directory of plug-ins, ``bin``, and a record of the calls."""

    def __init__(self, directory: Path) -> None:
        self.bin, self._calls = directory / "bin", directory / "calls"
        self.bin.mkdir()
        self._calls.mkdir()

    def add(self, name: str, result: dict[str, Any] | None = None, versions: tuple[str, ...] = ("1.0.0", "1.1.0")) -> None:
        """A plug-in that answers ADD with a result and VERSION with versions."""
        path = self.bin / name
        path.write_text(_SCRIPT)
        path.chmod(0o755)
        self.answer(name, "ADD", result or {"cniVersion": "1.0.0", "dns": {"domain": name}})
        self.answer(name, "VERSION", {"cniVersion": "1.0.0", "supportedVersions": versions})

    def answer(self, name: str, command: str, answer: dict[str, Any]) -> None:
        (self._calls / f"{name}.{command}.out").write_text(json.dumps(answer))

    def does(self, name: str, command: str, script: str) -> None:
        """Shell text that it runs before it answers; ``exit 1`` ends it there."""
        (self._calls / f"{name}.{command}.sh").write_text(script)

    def refuses(self, name: str, command: str, **error: Any) -> None:
        self.does(name, command, f"echo '{json.dumps(error)}'; echo lost >&2; exit 1")

    @property
    def order(self) -> list[str]:
        path = self._calls / "order"
        return path.read_text().splitlines() if path.exists() else []

    def given(self, name: str, command: str) -> dict[str, Any]:
        """What the plug-in read."""
        found: dict[str, Any] = json.loads((self._calls / f"{name}.{command}.in").read_text())
        return found

    def environment(self, name: str, command: str) -> dict[str, str]:
        lines = (self._calls / f"{name}.{command}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


class CniHost:
    """As much of a ``Host`` as the driver asks for."""

    namespace = "default"

    def __init__(self, fakes: Fakes, directory: Path) -> None:
        self.cni_paths = (str(directory / "nowhere"), str(fakes.bin))
        self.runtime_dir = str(directory / "run")
        self.turn = Turn(self.runtime_dir, "default-c1")
        self.is_cancelled = False

    def cancelled(self) -> bool:
        return self.is_cancelled
