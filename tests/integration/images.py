"""A real registry on loopback, and images made here from Debian's packages: no image comes from anywhere else."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import http.client
import io
import json
import os
import select
import socket
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OCI = "application/vnd.oci.image"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


@dataclass(frozen=True)
class Blob:
    """Bytes of the registry with the descriptor that names them."""

    media_type: str
    data: bytes
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **self.extra}


class Registry:
    """A running docker-registry and a client of its HTTP API for what tests need to put there."""

    def __init__(self, base: str) -> None:
        self.base = base
        os.makedirs(f"{base}/storage", exist_ok=True)
        self.port = _free_port()
        self.host = f"127.0.0.1:{self.port}"
        with open(f"{base}/config.yml", "w") as config:
            config.write(
                f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {base}/storage}}, delete: {{enabled: true}}}}\n"
                f'http: {{addr: "{self.host}"}}\nlog: {{level: error}}\n'
            )
        with open(f"{base}/registry.log", "ab") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", f"{base}/config.yml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait()

    def _wait(self) -> None:
        descriptor = os.pidfd_open(self.process.pid)
        try:
            for _ in range(300):  # the registry announces nothing; a refused connection is all there is to see
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                        return
                if select.select([descriptor], [], [], 0.05)[0]:
                    break
        finally:
            os.close(descriptor)
        with open(f"{self.base}/registry.log") as log:
            raise RuntimeError(f"docker-registry did not start:\n{log.read()[-2000:]}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, dict(headers or {}))
        return connection.getresponse()

    def put_blob(self, repository: str, blob: Blob) -> None:
        if self.request("HEAD", f"/v2/{repository}/blobs/{blob.digest}").status == 200:
            return
        location = self.request("POST", f"/v2/{repository}/blobs/uploads/").getheader("Location") or ""
        path = location[location.index("/v2/") :]
        answer = self.request("PUT", f"{path}{'&' if '?' in path else '?'}digest={blob.digest}", blob.data)
        assert answer.status == 201, answer.read()

    def put_manifest(self, repository: str, reference: str, blob: Blob) -> None:
        answer = self.request("PUT", f"/v2/{repository}/manifests/{reference}", blob.data, {"Content-Type": blob.media_type})
        assert answer.status == 201, answer.read()

    def push(
        self,
        repository: str,
        layers: Sequence[bytes],
        *,
        tag: str = "latest",
        config: Mapping[str, Any] | None = None,
        architecture: str = ARCHITECTURE,
    ) -> str:
        """Push an image index with one image of uncompressed tar ``layers``; returns the full reference.

        ``config`` is the image's runtime configuration (Cmd, Entrypoint, Env, User, Volumes, ExposedPorts, ...).
        """
        blobs = [Blob(f"{OCI}.layer.v1.tar+gzip", gzip.compress(layer, 1, mtime=0)) for layer in layers]
        settings = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **(config or {})}
        image = {
            "created": "2024-01-01T00:00:00Z",
            "architecture": architecture,
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": f"layer {number}"} for number in range(len(layers))],
        }
        config_blob = _json_blob(f"{OCI}.config.v1+json", image)
        content = {"schemaVersion": 2, "config": config_blob.descriptor(), "layers": [blob.descriptor() for blob in blobs]}
        manifest = _json_blob(f"{OCI}.manifest.v1+json", content, platform={"architecture": architecture, "os": "linux"})
        index = _json_blob(f"{OCI}.index.v1+json", {"schemaVersion": 2, "manifests": [manifest.descriptor()]})
        for blob in (*blobs, config_blob):
            self.put_blob(repository, blob)
        self.put_manifest(repository, manifest.digest, manifest)
        self.put_manifest(repository, tag, index)
        return f"{self.host}/{repository}:{tag}"


def _json_blob(media_type: str, content: Mapping[str, Any], **extra: Any) -> Blob:
    named = {"mediaType": media_type, **content} if "schemaVersion" in content else content
    return Blob(media_type, json.dumps(named).encode(), extra)


def tar(files: Mapping[str, bytes | str], *, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> bytes:
    """A layer: ``bytes`` values are files, ``str`` values symbolic links, a name with a final ``/`` a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mode, entry.mtime = mode, 1704067200
            entry.uid, entry.gid = owner
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def busybox_layer() -> bytes:
    """Debian's static busybox with a link for every applet, and the few files programs expect below /etc."""
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
    with open("/bin/busybox", "rb") as file:
        binary = file.read()
    files: dict[str, bytes | str] = {
        f"{name}/": b"" for name in ("bin", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "usr")
    }
    files |= {"tmp/": b"", "usr/bin/": b"", "var/": b"", "var/www/": b"", "bin/busybox": binary}
    files |= {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"}
    files["usr/bin/env"] = "/bin/busybox"
    files["etc/passwd"] = (
        b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nguest:x:405:100:guest:/home:/bin/sh\n"
    )
    files["etc/group"] = b"root:x:0:\ndaemon:x:1:\nusers:x:100:guest\nstaff:x:50:guest\n"
    files["var/www/index.html"] = b"hello from busybox\n"
    return tar(files)


NGINX_CONFIG = b"""\
user www-data; worker_processes 1; error_log /dev/stderr; pid /run/nginx.pid;
events { worker_connections 256; }
http {
  include mime.types; access_log /dev/stdout;
  server { listen 80; listen [::]:80; location / { root /usr/share/nginx/html; index index.html; } }
}
"""


def nginx_layers(cache: str) -> list[bytes]:
    """Debian 12 with nginx-light as mmdebstrap makes it (kept in ``cache``: half a minute of work), and a page of ours."""
    path = f"{cache}/nginx.tar"
    os.makedirs(cache, exist_ok=True)
    with open(f"{path}.lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # the other worker wants it too
        if not os.path.exists(path):
            trim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]
            made = f"{path}.part"
            subprocess.run(
                ["mmdebstrap", "-q", "--variant=minbase", "--format=tar", "--include=nginx-light", *trim, "bookworm", made],
                check=True,
            )
            os.rename(made, path)
    with open(path, "rb") as file:
        base = file.read()
    page = tar({"etc/nginx/nginx.conf": NGINX_CONFIG, "usr/share/nginx/html/index.html": b"<title>Welcome to nginx!</title>\n"})
    return [base, page]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
