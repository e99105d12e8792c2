"""A registry on loopback and a host that remembers: what the image plug-ins talk to in unit tests."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pyctl_hookspecs import Descriptor
from pyctl_hookspecs.testing.image import MemoryContent

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


class Registry:
    """Serves blobs and manifests; its attributes make it misbehave."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.break_after: dict[str, list[int]] = {}  # digest -> how many bytes to send, one entry per request
        self.ranges = True
        self.basic = ""  # user:secret
        self.bearer = ""  # the token that opens
        self.deny = False
        self.statuses: list[int] = []  # answers to give before behaving
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def paths(self, word: str) -> list[str]:
        return [path for path, _ in self.requests if word in path]

    def add(self, body: bytes, media_type: str) -> Descriptor:
        self.blobs[digest_of(body)] = body
        return Descriptor(media_type=media_type, digest=digest_of(body), size_bytes=len(body))

    def add_manifest(self, document: dict[str, object], media_type: str, *tags: str) -> Descriptor:
        body = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode()
        for name in (digest_of(body), *tags):
            self.manifests[name] = (media_type, body)
        return Descriptor(media_type=media_type, digest=digest_of(body), size_bytes=len(body))

    def add_image(self, *layers: bytes, tags: tuple[str, ...] = (), architecture: str = "amd64") -> Descriptor:
        config = {
            "os": "linux",
            "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
        parts = [self.add(gzip.compress(layer, 1, mtime=0), LAYER) for layer in layers]
        document: dict[str, object] = {
            "config": plain(self.add(json.dumps(config).encode(), CONFIG)),
            "layers": [plain(part) for part in parts],
        }
        return self.add_manifest(document, MANIFEST, *tags)

    def add_index(self, manifests: dict[str, Descriptor], *tags: str) -> Descriptor:
        entries = []
        for platform, manifest in manifests.items():
            system, arch, *variant = platform.split("/")
            words = {"os": system, "architecture": arch, **({"variant": variant[0]} if variant else {})}
            entries.append({**plain(manifest), "platform": words})
        return self.add_manifest({"manifests": entries}, INDEX, *tags)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                registry.requests.append((self.path, dict(self.headers)))
                path = self.path.partition("?")[0]
                if path == "/token":
                    return self._token()
                if registry.statuses:
                    return self._say(registry.statuses.pop(0), b"{}")
                if not self._allowed():
                    return None
                kind, _, name = path.rpartition("/")
                if kind.endswith("/manifests") and name in registry.manifests:
                    media_type, body = registry.manifests[name]
                    return self._say(200, body, {"Content-Type": media_type})
                if kind.endswith("/blobs") and name in registry.blobs:
                    return self._blob(name)
                return self._error(404, "MANIFEST_UNKNOWN" if kind.endswith("/manifests") else "BLOB_UNKNOWN", "unknown")

            def _allowed(self) -> bool:
                sent = self.headers.get("Authorization", "")
                if registry.deny:
                    self._error(403, "DENIED", "requested access to the resource is denied")
                    return False
                if registry.bearer and sent != f"Bearer {registry.bearer}":
                    realm = f'Bearer realm="http://{registry.host}/token",service="tests",scope="repository:x:pull"'
                    self._error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": realm})
                    return False
                if registry.basic and not registry.bearer and sent != self._basic():
                    self._error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": 'Basic realm="tests"'})
                    return False
                return True

            def _basic(self) -> str:
                return "Basic " + base64.b64encode(registry.basic.encode()).decode()

            def _token(self) -> None:
                if registry.basic and self.headers.get("Authorization") != self._basic():
                    return self._error(401, "UNAUTHORIZED", "incorrect username or password")
                return self._say(200, json.dumps({"token": registry.bearer, "expires_in": 300}).encode())

            def _blob(self, name: str) -> None:
                body = registry.blobs[name]
                start, status, extra = 0, 200, {}
                if registry.ranges and "Range" in self.headers:
                    start, status = int(self.headers["Range"][6:].rstrip("-")), 206
                    if start >= len(body):
                        return self._error(416, "RANGE_INVALID", "there is no more")
                    extra = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
                cuts = registry.break_after.get(name)
                if not cuts:
                    return self._say(status, body[start:], extra)
                self._head(status, len(body) - start, extra)
                self.wfile.write(body[start : start + cuts.pop(0)])
                self.close_connection = True
                return None

            def _error(self, status: int, code: str, message: str, extra: dict[str, str] | None = None) -> None:
                self._say(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), extra)

            def _say(self, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
                self._head(status, len(body), extra or {})
                self.wfile.write(body)

            def _head(self, status: int, length: int, extra: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(length), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()

        return Handler


def plain(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size_bytes}


class FakeImages:
    def __init__(self) -> None:
        self.names: dict[str, Descriptor] = {}
        self.unpacked: list[str] = []
        self.on_layer: Callable[[Descriptor], None] = lambda layer: None

    def unpack(self, snapshotter: str, config_digest: str, layers: Iterable[Descriptor]) -> str:
        for layer in layers:
            self.on_layer(layer)
            self.unpacked.append(layer.digest)
        return f"chain-of-{len(self.unpacked)}"

    def record(self, name: str, target: Descriptor, labels: Mapping[str, str]) -> None:
        self.names[name] = target


class FakeHost:
    def __init__(self) -> None:
        self.content = MemoryContent()
        self.images = FakeImages()
        self.is_cancelled = False

    def cancelled(self) -> bool:
        return self.is_cancelled


@pytest.fixture
def registry() -> Iterator[Registry]:
    served = Registry()
    yield served
    served.close()


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()
