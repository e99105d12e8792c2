"""Compile the .proto files of the containerd client while building; generated code is never checked in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "pyctl/containerd/_api"


class ProtoHook(BuildHookInterface[Any]):
    """Runs for wheels and for editable installs; an sdist carries sources only."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write ``_api`` anew, so that a .proto file that went away leaves nothing behind.

        Raises:
            RuntimeError: protoc refused a file; it has said why on standard error.
        """
        if self.target_name != "wheel":
            return
        from grpc_tools import protoc

        core = Path(self.root, "core")
        api = core / "pyctl/containerd/api"
        generated = core / PACKAGE
        if generated.is_dir():
            for stale in generated.glob("*_pb2.py*"):
                if not (api / f"{stale.name.split('_pb2')[0]}.proto").exists():
                    stale.unlink()
        generated.mkdir(exist_ok=True)
        (generated / "__init__.py").write_text('"""Generated; see hatch_build.py."""\n')
        # The plug-in of an isolated build environment stands beside its interpreter, not on PATH.
        stubs = shutil.which("protoc-gen-mypy") or str(Path(sys.executable).with_name("protoc-gen-mypy"))
        sources = sorted(api.glob("*.proto"))
        status = protoc.main(
            [
                "protoc",
                f"--plugin=protoc-gen-mypy={stubs}",
                f"-I{PACKAGE}={api}",
                f"--python_out={core}",
                f"--mypy_out={core}",
                *(f"{PACKAGE}/{source.name}" for source in sources),
            ]
        )
        if status != 0:
            raise RuntimeError("protoc failed")
