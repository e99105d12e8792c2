"""Finding, unpacking, listing, naming and removing images, on a containerd in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pyctl.containerd.errors import AlreadyExistsError
from pyctl.containerd.records import Container, ContentInfo, Image, SnapshotUsage, TaskStatus
from pyctl.ops import archive, archive_save, image_cache, image_listing, image_removal, images
from pyctl.ops.image_store import ImageStore, chain_id
from pyctl_hookspecs import ConflictError, Descriptor, InvalidArgumentError, NotFoundError, PyctlError, UnsupportedError
from pyctl_hookspecs.platforms import host_platform

if TYPE_CHECKING:
    from conftest import Registry

OTHER = "s390x"


class FakeImages:
    def __init__(self) -> None:
        self.known: dict[str, Image] = {}

    def get(self, name: str) -> Image:
        if name not in self.known:
            raise NotFoundError("image", name)
        return self.known[name]

    def list(self, filters: Iterable[str] = ()) -> tuple[Image, ...]:
        wanted = [text.removeprefix("target.digest==") for text in filters]
        return tuple(image for image in self.known.values() if not wanted or image.target.digest in wanted)

    def create(self, image: Image) -> Image:
        if image.name in self.known:
            raise AlreadyExistsError(image.name)
        return self.known.setdefault(image.name, image)

    def update(self, image: Image, fields: Iterable[str] = ()) -> Image:
        self.known[image.name] = image
        return image

    def delete(self, name: str, *, sync: bool = False) -> None:
        self.known.pop(self.get(name).name)


class FakeContent:
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.labels: dict[str, dict[str, str]] = {}

    def info(self, digest: str) -> ContentInfo:
        if digest not in self.blobs:
            raise NotFoundError("content", digest)
        return ContentInfo(digest=digest, size_bytes=len(self.blobs[digest]), labels=self.labels.get(digest, {}))

    def size_bytes(self, digest: str) -> int | None:
        return len(self.blobs[digest]) if digest in self.blobs else None

    def read(self, digest: str) -> bytes:
        self.info(digest)
        return self.blobs[digest]

    def list(self, filters: Iterable[str] = ()) -> tuple[ContentInfo, ...]:
        return () if tuple(filters) else tuple(self.info(digest) for digest in self.blobs)

    def update_labels(self, digest: str, labels: Mapping[str, str]) -> None:
        self.info(digest)
        self.labels.setdefault(digest, {}).update(labels)


class FakeSnapshots:
    """Names in ``rival`` are committed by somebody else just before us."""

    def __init__(self) -> None:
        self.committed: dict[str, str] = {}
        self.active: dict[str, str] = {}
        self.rival: set[str] = set()

    def stat(self, snapshotter: str, key: str) -> None:
        if key not in self.committed:
            raise NotFoundError("snapshot", key)

    def prepare(self, snapshotter: str, key: str, parent: str = "", labels: Mapping[str, str] | None = None) -> tuple[()]:
        assert not parent or parent in self.committed
        self.active[key] = parent
        return ()

    def commit(self, snapshotter: str, name: str, key: str, labels: Mapping[str, str] | None = None) -> None:
        if name in self.rival:
            self.committed[name] = self.active[key]
            raise AlreadyExistsError(name)
        self.committed[name] = self.active.pop(key)

    def remove(self, snapshotter: str, key: str) -> None:
        self.active.pop(key)

    def usage(self, snapshotter: str, key: str) -> SnapshotUsage:
        self.stat(snapshotter, key)
        return SnapshotUsage(size_bytes=1000, inodes=1)


class FakeClient:
    lease_id = ""

    def __init__(self) -> None:
        self.images, self.content, self.snapshots = FakeImages(), FakeContent(), FakeSnapshots()
        self.diff = SimpleNamespace(
            apply=lambda layer, mounts: Descriptor(media_type="", digest=self.diffs[layer.digest], size_bytes=1)
        )
        self.diffs: dict[str, str] = {}
        self.used: list[Container] = []
        self.running: list[str] = []
        self.containers = SimpleNamespace(list=lambda: tuple(self.used))
        self.tasks = SimpleNamespace(
            list=lambda: tuple(TaskStatus(container_id=one, exec_id="", pid=1, status="running") for one in self.running)
        )


class World:
    """An engine with a session on it, filled from the registry of the pull tests."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry, self.client = registry, FakeClient()
        store = ImageStore(self.client)  # type: ignore[arg-type]
        self.session: Any = SimpleNamespace(
            client=self.client,
            settings=SimpleNamespace(snapshotter="overlayfs"),
            paths=SimpleNamespace(data_store=str(folder)),
            host=SimpleNamespace(images=store),
        )
        self.store = store

    def add(self, name: str, *layers: bytes, architecture: str = host_platform().split("/")[1], index: bool = False) -> Image:
        target = self.registry.add_image(*(layers or (name.encode(),)), architecture=architecture)
        if index:
            target = self.registry.add_index({f"linux/{architecture}": target})
        return self.name(name, target)

    def name(self, name: str, target: Descriptor) -> Image:
        self.client.content.blobs.update(self.registry.blobs)
        self.client.content.blobs.update({digest: body for digest, (_, body) in self.registry.manifests.items()})
        return self.client.images.create(Image(name=name, target=target, created_at="2024-01-01T00:00:00Z"))

    def unpack(self, image: Image) -> str:
        config = images.load_config(self.session.client, image)
        self.client.diffs.update(zip((layer.digest for layer in config.layers), config.diff_ids, strict=True))
        return self.store.unpack("overlayfs", config.config_digest, config.layers)


@pytest.fixture
def world(registry: Registry, tmp_path: Path) -> World:
    return World(registry, tmp_path)


def test_an_image_is_found_by_every_name_and_id_it_has(world: World) -> None:
    image = world.add("docker.io/library/x:1")
    bare = image.target.digest.partition(":")[2]
    for text in ("x:1", "docker.io/library/x:1", bare, bare[:12], f"sha256:{bare[:7]}", f"x@{image.target.digest}"):
        assert images.find_image(world.session.client, text) == image


def test_a_digest_counts_only_for_its_repository(world: World) -> None:
    image = world.add("docker.io/library/x:1")
    with pytest.raises(NotFoundError, match="No such image: y@sha256"):
        images.find_image(world.session.client, f"y@{image.target.digest}")


@pytest.mark.parametrize(("text", "words"), [("nope", "No such image: nope:latest"), ("sha256:ab", "No such image: sha256:ab")])
def test_a_missing_image_is_named_as_docker_names_it(world: World, text: str, words: str) -> None:
    with pytest.raises(NotFoundError, match=words):
        images.find_image(world.session.client, text)


def test_an_id_that_fits_several_images_is_refused(world: World) -> None:
    blob = b"{}"
    for n in range(2):
        digest = f"sha256:abc{n}" + "0" * 60
        world.client.content.blobs[digest] = blob
        world.name(f"docker.io/library/x:{n}", Descriptor(media_type="", digest=digest, size_bytes=2))
    with pytest.raises(ConflictError, match="multiple IDs found with provided prefix: abc"):
        images.find_image(world.session.client, "abc")


@pytest.mark.parametrize("index", [False, True])
def test_the_configuration_is_read_through_index_and_manifest(world: World, index: bool) -> None:
    config = images.load_config(world.session.client, world.add("x", b"1", b"2", index=index))
    assert config.platform == host_platform()
    assert config.chain_id == chain_id(config.diff_ids[0], config.diff_ids[1])
    assert config.config["rootfs"]["diff_ids"] == list(config.diff_ids)
    assert len(config.parents) == index


def test_a_platform_that_is_not_here_counts_as_absent(world: World) -> None:
    for image in (world.add("x", index=True), world.add("y")):
        with pytest.raises(NotFoundError, match=r"does not provide the specified platform \(linux/s390x\)"):
            images.load_config(world.session.client, image, "linux/s390x")


def test_an_index_of_other_platforms_is_absent_here_unless_any_will_do(world: World) -> None:
    image = world.add("x", architecture=OTHER, index=True)
    with pytest.raises(NotFoundError):
        images.load_config(world.session.client, image)
    assert images.load_config(world.session.client, image, any_platform=True).platform == f"linux/{OTHER}"


def test_a_cached_configuration_is_the_same_and_needs_no_content(world: World, tmp_path: Path) -> None:
    image, folder = world.add("x", b"1", b"2"), str(tmp_path / "cache")
    first = images.load_config(world.session.client, image, cache_dir=folder)
    world.client.content.blobs.clear()
    assert images.load_config(world.session.client, image, cache_dir=folder) == first


def test_a_damaged_cache_entry_counts_as_absent(world: World, tmp_path: Path) -> None:
    image = world.add("x")
    images.load_config(world.session.client, image, cache_dir=str(tmp_path))
    (entry,) = tmp_path.iterdir()
    entry.write_text('{"format": 1')
    assert image_cache.load(str(tmp_path), image.target.digest, "") is None
    assert images.load_config(world.session.client, image, cache_dir=str(tmp_path)).platform == host_platform()


def test_unpacking_commits_each_layer_and_labels_what_keeps_it(world: World) -> None:
    image = world.add("x", b"1", b"2")
    top = world.unpack(image)
    config = images.load_config(world.session.client, image)
    assert top == config.chain_id
    assert world.client.snapshots.committed == {config.diff_ids[0]: "", top: config.diff_ids[0]}
    labels = world.client.content.labels
    assert labels[config.config_digest] == {"containerd.io/gc.ref.snapshot.overlayfs": top}
    assert labels[config.layers[1].digest] == {"containerd.io/uncompressed": config.diff_ids[1]}
    assert world.client.snapshots.active == {}


def test_a_rival_that_commits_first_wins(world: World) -> None:
    image = world.add("x", b"1")
    config = images.load_config(world.session.client, image)
    world.client.snapshots.rival.add(config.chain_id)
    assert world.unpack(image) == config.chain_id
    assert world.client.snapshots.active == {}


def test_a_layer_that_is_not_what_the_image_says_leaves_no_snapshot(world: World) -> None:
    image = world.add("x", b"1")
    config = images.load_config(world.session.client, image)
    world.client.diffs[config.layers[0].digest] = "sha256:" + "0" * 64
    with pytest.raises(PyctlError, match="but the image says"):
        world.store.unpack("overlayfs", config.config_digest, config.layers)
    assert world.client.snapshots.active == world.client.snapshots.committed == {}


def test_a_manifest_with_too_few_layers_is_refused(world: World) -> None:
    config = images.load_config(world.session.client, world.add("x", b"1", b"2"))
    world.client.diffs[config.layers[0].digest] = config.diff_ids[0]
    with pytest.raises(PyctlError, match="names 2 layers, the manifest has 1"):
        world.store.unpack("overlayfs", config.config_digest, config.layers[:1])


@pytest.mark.parametrize(("version", "is_refused"), [("1.7.24~ds1", True), ("2.1.9", False)])
def test_what_containerd_1_7_would_ignore_while_pulling_is_refused(world: World, version: str, is_refused: bool) -> None:
    asked: list[str] = []
    image = world.add("docker.io/library/x:1")
    world.client.version = lambda: (version, "")  # type: ignore[attr-defined]
    world.client.transfer = lambda name, **_: asked.append(name)  # type: ignore[attr-defined]
    for plain_http, hosts_dir in ((True, ""), (False, "/etc/containerd/certs.d")):
        pull = partial(
            world.store.server_pull, image.name, platforms=(), snapshotter="", hosts_dir=hosts_dir, plain_http=plain_http,
            credentials=lambda _: ("", ""), progress=lambda _: None,
        )  # fmt: skip
        if is_refused:
            with pytest.raises(UnsupportedError, match=rf"containerd {version} cannot pull by itself"):
                pull()
        else:
            assert pull() == image.target
    assert bool(asked) is not is_refused


def test_the_last_name_takes_the_image_with_it(world: World) -> None:
    image = world.add("docker.io/library/x:1")
    world.name("docker.io/library/y:1", image.target)
    assert image_removal.remove_image(world.session, "x:1").lines() == ("Untagged: x:1",)
    removed = image_removal.remove_image(world.session, "y:1").lines()
    digest = image.target.digest
    assert removed[:3] == ("Untagged: y:1", f"Untagged: y@{digest}", f"Deleted: {digest}")


def test_by_id_several_repositories_need_force(world: World) -> None:
    image = world.add("docker.io/library/x:1")
    world.name("docker.io/library/y:1", image.target)
    short = image.target.digest[7:19]
    with pytest.raises(ConflictError, match=rf"unable to delete {short} \(must be forced\) - image is referenced in multiple"):
        image_removal.remove_image(world.session, short)
    image_removal.remove_image(world.session, short, force=True)
    assert world.client.images.known == {}


def test_by_id_several_tags_of_one_repository_go_together(world: World) -> None:
    image = world.add("docker.io/library/x:1")
    world.name("docker.io/library/x:2", image.target)
    assert image_removal.remove_image(world.session, image.target.digest).untagged[:2] == ("x:1", "x:2")


def test_an_image_in_use_needs_force_and_a_running_one_keeps_its_content(world: World) -> None:
    image = world.add("docker.io/library/x:1")
    world.client.used.append(Container(container_id="c" * 64, image=image.name))
    with pytest.raises(ConflictError, match=r'"x:1" \(must force\) - container cccccccccccc is using its referenced image'):
        image_removal.remove_image(world.session, "x:1")
    with pytest.raises(ConflictError, match=r"\(must be forced\) - image is being used by stopped container cccccccccccc"):
        image_removal.remove_image(world.session, image.target.digest)
    world.client.running.append("c" * 64)
    with pytest.raises(ConflictError, match=r"\(cannot be forced\) - image is being used by running container"):
        image_removal.remove_image(world.session, image.target.digest, force=True)
    assert image_removal.remove_image(world.session, "x:1", force=True).lines() == ("Untagged: x:1",)
    assert list(world.client.images.known) == [f"<none>@{image.target.digest}"]


def test_a_tag_moves_and_is_normalised(world: World) -> None:
    first, second = world.add("docker.io/library/x:1", b"1"), world.add("docker.io/library/y:1", b"2")
    image_removal.tag_image(world.session, "x:1", "z")
    assert world.client.images.get("docker.io/library/z:latest").target == first.target
    image_removal.tag_image(world.session, "y:1", "z:latest")
    assert world.client.images.get("docker.io/library/z:latest").target == second.target


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("UPPER", 'Error parsing reference: "UPPER" is not a valid repository/tag: invalid reference format'),
        ("x@sha256:" + "0" * 64, "refusing to create a tag with a digest reference"),
    ],
)
def test_what_cannot_be_a_tag_is_refused(world: World, target: str, words: str) -> None:
    world.add("docker.io/library/x:1")
    with pytest.raises(InvalidArgumentError, match=words):
        image_removal.tag_image(world.session, "x:1", target)


def test_rows_say_what_docker_says(world: World) -> None:
    image = world.add("docker.io/library/x:1", b"1", b"2")
    world.unpack(image)
    world.client.used.append(Container(container_id="c", image=image.name))
    (row,) = image_listing.list_images(world.session)
    assert (row.repository, row.tag, row.image_id) == ("x", "1", image.target.digest)
    assert (row.size_bytes, row.containers, row.platform) == (2000, 1, host_platform())


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("x", ["x:1"]),
        ("x:*", ["x:1"]),
        ("*", ["x:1"]),
        ("*/*", ["a/y:2"]),
        ("a/?:[1-2]", ["a/y:2"]),
        ("docker.io/library/x", ["x:1"]),
        ("nothing", []),
    ],
)
def test_a_reference_filter_stops_at_slashes(world: World, pattern: str, names: list[str]) -> None:
    world.add("docker.io/library/x:1", b"1")
    world.add("docker.io/a/y:2", b"2")
    found = image_listing.list_images(world.session, (("reference", pattern),))
    assert [f"{row.repository}:{row.tag}" for row in found] == names


def test_nameless_images_are_dangling(world: World) -> None:
    image = world.add("docker.io/library/x:1", b"1")
    world.client.images.known.clear()
    world.name(f"<none>@{image.target.digest}", image.target)
    (row,) = image_listing.list_images(world.session, (("dangling", "true"),))
    assert (row.repository, row.tag) == ("<none>", "<none>")
    assert image_listing.list_images(world.session, (("dangling", "false"),)) == ()
    assert images.find_image(world.session.client, image.target.digest).name == row.name


@pytest.mark.parametrize("pair", [("colour", "red"), ("dangling", "perhaps"), ("reference", "x[")])
def test_a_filter_nobody_knows_is_refused(world: World, pair: tuple[str, str]) -> None:
    world.add("docker.io/library/x:1")
    with pytest.raises(InvalidArgumentError):
        image_listing.list_images(world.session, (pair,))


def test_members_of_an_archive_stay_inside_it() -> None:
    assert archive._safe("./blobs/../index.json") == "index.json"
    for name in ("../x", "/etc/passwd", "a/../../x", ".."):
        with pytest.raises(InvalidArgumentError, match="points outside of it"):
            archive._safe(name)


def test_a_blob_is_read_in_pieces_of_any_size() -> None:
    reader = archive_save._Reader(iter([b"abc", b"defgh", b"i"]))
    assert [reader.read(2), reader.read(4), reader.read(10), reader.read(1)] == [b"ab", b"cdef", b"ghi", b""]


def test_the_docker_manifest_joins_the_names_of_one_image(world: World) -> None:
    image = world.add("docker.io/library/x:1")
    other = world.name("docker.io/library/y:1", image.target)
    config = images.load_config(world.session.client, image)
    (entry,) = json.loads(json.dumps(archive_save._docker_manifest([(image, [config]), (other, [config])])))
    assert entry["RepoTags"] == ["x:1", "y:1"]
    assert entry["Layers"] == [f"blobs/sha256/{config.layers[0].digest[7:]}"]
