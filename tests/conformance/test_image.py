"""The built-in image providers sit the examination any other does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.image.conftest import Registry

from pyctl_hookspecs import Descriptor, NotFoundError
from pyctl_hookspecs.manifests import Index, Manifest, read
from pyctl_hookspecs.platforms import host_platform
from pyctl_hookspecs.testing.image import ImageHost, ImageSuite, MemoryContent
from pyctl_plugins.image import registry, transfer


class _WithRegistry(ImageSuite):
    @pytest.fixture(autouse=True)
    def served(self) -> Iterator[Registry]:
        self.registry = Registry()
        image = self.registry.add_image(b"one", b"two", architecture=host_platform().split("/")[1])
        self.target = self.registry.add_index({host_platform(): image}, "1")
        yield self.registry
        self.registry.close()

    @pytest.fixture
    def image_ref(self) -> str:
        return f"{self.registry.host}/some/image:1"

    @pytest.fixture
    def absent_ref(self) -> str:
        return f"{self.registry.host}/some/image:2"


class TestRegistry(_WithRegistry):
    @pytest.fixture
    def plugin(self) -> object:
        return registry


class TestTransfer(_WithRegistry):
    """The daemon's part is played by a copy of what the registry has."""

    @pytest.fixture
    def plugin(self) -> object:
        return transfer

    def host(self) -> ImageHost:
        host = ImageHost()
        host.images.pull = self._pull
        return host

    def _pull(self, name: str, content: MemoryContent) -> Descriptor:
        if not name.endswith(":1"):
            raise NotFoundError("image", name)
        content.blobs.update(self.registry.blobs)
        for digest, (media_type, body) in self.registry.manifests.items():
            if digest.startswith("sha256:"):
                content.blobs[digest] = body
                document: Manifest | Index = read(Descriptor(media_type=media_type, digest=digest, size_bytes=len(body)), body)
                content.label(digest, document.labels())
        return self.target
