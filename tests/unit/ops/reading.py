"""A world to read: a session on a daemon in memory, with its state directories below a temporary directory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pyctl.containerd.records import (
    Container,
    Image,
    PluginInfo,
    ProcessInfo,
    SnapshotInfo,
    SnapshotUsage,
    TaskStatus,
)
from pyctl.ops.session import Session
from pyctl.ops.settings import Settings
from pyctl.spec.build import SpecFacts, build_spec
from pyctl.spec.capabilities import ALL
from pyctl.spec.endpoints import endpoints_of
from pyctl.spec.labels import LabelFacts, build_labels
from pyctl.spec.options import ContainerOptions
from pyctl.spec.ports import parse_published, to_network_config
from pyctl.state.containers import StateDir
from pyctl_hookspecs import MountOutcome, NotFoundError, OciMount

BUSYBOX = "docker.io/library/busybox:latest"


class World:
    """``add`` makes a container of options the way ``create`` does; ``run`` and ``end`` give it a task and take it away."""

    def __init__(self, root: Path) -> None:
        socket = root / "containerd.sock"
        socket.touch()
        (root / "net.d").mkdir()
        settings = Settings(
            mode="rootful",
            address=str(socket),
            namespace="ns",
            data_root=str(root / "data"),
            runtime_dir=str(root / "run"),
            cni_netconfpath=str(root / "net.d"),
            cgroup_manager="cgroupfs",
        )
        self.session = Session(settings)
        self.containers: dict[str, Container] = {}
        self.tasks: dict[str, TaskStatus] = {}
        self.images: dict[str, Image] = {}
        self.blobs: dict[str, bytes] = {}
        self.snapshots: dict[str, tuple[str, int]] = {}
        self.exec_ids: tuple[str, ...] = ()
        self.session._client = Daemon(self)  # type: ignore[assignment]

    def add(self, name: str, *command: str, ports: str = "", networks: tuple[str, ...] = ("bridge",), **given: Any) -> Container:
        """A container; the later one is the newer one."""
        number = len(self.containers) + 1
        container_id = f"{number:x}" * 64
        image_config = given.pop("image_config", {})
        outcomes: tuple[MountOutcome, ...] = given.pop("mounts", ())
        extra: dict[str, str] = given.pop("labels", {})
        options = ContainerOptions(image="busybox", command=command or ("sleep", "600"), name=name, **given)
        state = StateDir(self.session.paths.state_dir(container_id))
        state.make()
        labels = build_labels(
            options,
            image_config,
            LabelFacts(
                namespace="ns",
                container_name=name,
                hostname=container_id[:12],
                state_dir=state.path,
                endpoints=endpoints_of(options.replace(network=networks)),
                platform="linux/amd64",
                log_uri="binary:///bin/log",
                mounts=outcomes,
            ),
        )
        spec = build_spec(
            options,
            image_config,
            SpecFacts(
                container_id=container_id,
                namespace="ns",
                hostname=container_id[:12],
                capabilities=ALL,
                mounts=tuple(outcome.mount for outcome in outcomes),
                hosts_path=f"/hosts/{container_id}",
                init_source="/usr/bin/tini" if options.init else "",
                init_path="/sbin/docker-init" if options.init else "",
            ),
        )
        state.save_ports(to_network_config(parse_published((ports,) if ports else ())).get("portMappings", []))
        container = Container(
            container_id=container_id,
            labels=labels | extra,
            image=BUSYBOX,
            runtime_name="io.containerd.runc.v2",
            spec_json=json.dumps(spec, separators=(",", ":")).encode(),
            snapshotter="overlayfs",
            snapshot_key=container_id,
            created_at=f"2026-01-01T00:00:{number:02}Z",
        )
        self.containers[container_id] = container
        return container

    def state(self, container: Container) -> StateDir:
        return StateDir(self.session.paths.state_dir(container.container_id))

    def run(self, container: Container, status: str = "running", **fields: Any) -> None:
        """Give it a task."""
        self.state(container).save_started("2026-01-02T00:00:00.5Z")
        self.tasks[container.container_id] = TaskStatus(
            container_id=container.container_id, exec_id="", pid=4711, status=status, **fields
        )

    def add_image(self, name: str = BUSYBOX, layers: tuple[str, ...] = ("sha256:" + "a" * 64,), **config: Any) -> str:
        """An image with these layers; returns the digest of its configuration."""
        from hashlib import sha256

        from pyctl_hookspecs import Descriptor

        def put(document: dict[str, Any]) -> str:
            body = json.dumps(document).encode()
            digest = f"sha256:{sha256(body).hexdigest()}"
            self.blobs[digest] = body
            return digest

        platform = {"architecture": "amd64", "os": "linux"}
        config_digest = put({**platform, "config": config, "rootfs": {"type": "layers", "diff_ids": list(layers)}})
        media_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest,
                "size": len(self.blobs[config_digest]),
            },
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": 1} for layer in layers
            ],
        }
        digest = put(manifest)
        target = Descriptor(media_type=media_type, digest=digest, size_bytes=len(self.blobs[digest]))
        self.images[name] = Image(name=name, target=target)
        return config_digest


class Daemon:
    """What reading asks of containerd, answered from a ``World``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked: list[str] = []
        self.containers = SimpleNamespace(list=self._list, find=self._find)
        self.tasks = SimpleNamespace(list=self._tasks, get=self._task, pids=self._pids)
        self.images = SimpleNamespace(get=self._image, list=self._images)
        self.content = SimpleNamespace(read=self._blob, list=lambda filters=(): ())
        self.snapshots = SimpleNamespace(usage=self._usage, stat=self._stat, mounts=self._mounts)

    def version(self) -> tuple[str, str]:
        return "2.1.9", "abc"

    def server_uuid(self) -> str:
        return "uuid"

    def plugins(self, filters: tuple[str, ...] = ()) -> tuple[PluginInfo, ...]:
        return (
            PluginInfo(
                type="io.containerd.snapshotter.v1",
                plugin_id="overlayfs",
                platforms=("linux/amd64",),
                capabilities=("remap-ids",),
            ),
            PluginInfo(type="io.containerd.snapshotter.v1", plugin_id="zfs", init_error="no zfs here", init_code=2),
        )

    def close(self) -> None:
        pass

    def _list(self) -> tuple[Container, ...]:
        self.asked.append("containers.list")
        return tuple(self._world.containers.values())

    def _find(self, text: str) -> tuple[Container, ...]:
        return tuple(
            one
            for one in self._world.containers.values()
            if one.container_id.startswith(text) or one.labels.get("nerdctl/name") == text
        )

    def _tasks(self) -> tuple[TaskStatus, ...]:
        self.asked.append("tasks.list")
        return tuple(self._world.tasks.values())

    def _task(self, container_id: str) -> TaskStatus:
        if container_id not in self._world.tasks:
            raise NotFoundError("task", container_id)
        return self._world.tasks[container_id]

    def _pids(self, container_id: str) -> tuple[ProcessInfo, ...]:
        return (ProcessInfo(pid=4711), *(ProcessInfo(pid=4712, exec_id=one) for one in self._world.exec_ids))

    def _image(self, name: str) -> Image:
        if name not in self._world.images:
            raise NotFoundError("image", name)
        return self._world.images[name]

    def _images(self, filters: Iterable[str] = ()) -> tuple[Image, ...]:
        digests = [text.removeprefix("target.digest==") for text in filters]
        return tuple(one for one in self._world.images.values() if not digests or one.target.digest in digests)

    def _blob(self, digest: str) -> bytes:
        return self._world.blobs[digest]

    def _usage(self, snapshotter: str, key: str) -> SnapshotUsage:
        self.asked.append(f"usage {key[:8]}")
        return SnapshotUsage(size_bytes=self._snapshot(key)[1], inodes=1)

    def _stat(self, snapshotter: str, key: str) -> SnapshotInfo:
        return SnapshotInfo(name=key, parent=self._snapshot(key)[0], kind="active")

    def _mounts(self, snapshotter: str, key: str) -> tuple[OciMount, ...]:
        self._snapshot(key)
        options = ("index=off", "workdir=/s/2/work", "upperdir=/s/2/fs", "lowerdir=/s/1/fs:/s/0/fs")
        return (OciMount(type="overlay", source="overlay", destination="", options=options),)

    def _snapshot(self, key: str) -> tuple[str, int]:
        if key not in self._world.snapshots:
            raise NotFoundError("snapshot", key)
        return self._world.snapshots[key]
