"""Images with the real thing: pulled from a registry, listed, named, archived and removed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.images import ARCHITECTURE, OCI, Blob, Registry, busybox_layer, tar

if TYPE_CHECKING:
    from tests.integration.conftest import Pyctl
    from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

BASE = tar({"etc/": b"", "etc/hello": b"hello\n"})


@pytest.fixture
def image(pyctl: Pyctl, registry: Registry, name: str) -> Iterator[str]:
    """An image of two layers in the registry that is this test's alone; gone from the engine afterwards."""
    ref = registry.push(
        f"images/{name.lower()}", [BASE, tar({"mine": name.encode()})], config={"Cmd": ["x"], "Labels": {"a": "b"}}
    )
    yield ref
    for digest in set(pyctl("images", "-q", "--no-trunc", ref.rpartition(":")[0]).stdout.split()):
        pyctl("rmi", "-f", digest)


def inspect(pyctl: Pyctl, ref: str) -> dict[str, Any]:
    (found,) = json.loads(pyctl("image", "inspect", ref).stdout)
    return dict(found)


def test_a_pulled_image_is_listed_inspected_and_removed(pyctl: Pyctl, image: str, engine: Engine) -> None:
    pulled = pyctl("pull", image)
    assert pulled.out.splitlines()[-1] == image
    repository, _, tag = image.rpartition(":")
    listed = pyctl("images", "--no-trunc", "--format", "{{.Repository}} {{.Tag}} {{.ID}}", repository).out.split()
    found = inspect(pyctl, image)
    assert listed == [repository, tag, found["Id"]]
    assert found["RepoTags"] == [image]
    assert found["RepoDigests"] == [f"{repository}@{found['Id']}"]
    assert found["Config"]["Labels"] == {"a": "b"}
    assert (found["Os"], found["Architecture"]) == ("linux", ARCHITECTURE)
    assert len(found["RootFS"]["Layers"]) == 2
    removed = pyctl("rmi", image).out.splitlines()
    assert removed[0] == f"Untagged: {image}"
    assert f"Deleted: {found['Id']}" in removed
    assert pyctl("image", "inspect", image, ok=False).code == 1
    assert found["Id"] not in engine.ctr("content", "ls")


def test_what_was_pulled_is_labelled_for_the_collector_and_for_other_clients(pyctl: Pyctl, image: str, engine: Engine) -> None:
    pyctl("pull", image)
    lines = {line.split()[0]: line for line in engine.ctr("content", "ls").splitlines()[1:]}
    index = lines[inspect(pyctl, image)["Id"]]
    assert "containerd.io/gc.ref.content.m.0=" in index
    manifest = lines[index.partition("gc.ref.content.m.0=")[2].partition(",")[0]]
    config = lines[manifest.partition("gc.ref.content.config=")[2].partition(",")[0]]
    assert "containerd.io/gc.ref.snapshot.overlayfs=" in config
    layer = lines[manifest.partition("gc.ref.content.l.1=")[2].partition(",")[0]]
    assert "containerd.io/uncompressed=sha256:" in layer
    assert "containerd.io/distribution.source." in layer


def test_what_another_client_pulled_is_not_pulled_again(pyctl: Pyctl, image: str, engine: Engine) -> None:
    engine.ctr("images", "pull", "--plain-http", image)
    events = [json.loads(line) for line in pyctl("pull", "--progress", "json", image).stderr.splitlines()]
    states = {event["state"] for event in events if event.get("kind") == "layer"}
    assert states <= {"exists", "unpacking", "done"}


def test_an_image_is_found_by_short_id_digest_and_config_digest(pyctl: Pyctl, image: str) -> None:
    pyctl("pull", image)
    found = inspect(pyctl, image)
    bare = found["Id"].partition(":")[2]
    native = json.loads(pyctl("image", "inspect", "--mode", "native", image).stdout)[0]
    for text in (bare, bare[:12], found["Id"], found["RepoDigests"][0], native["ImageConfigDesc"]["digest"]):
        assert inspect(pyctl, text)["Id"] == found["Id"]


def test_two_pulls_at_once_both_succeed(pyctl: Pyctl, image: str) -> None:
    both = [pyctl.popen("pull", "-q", image, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for one in both:
        out, err = one.communicate(timeout=60)
        assert (one.returncode, out.decode().strip(), err) == (0, image, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_pull_leaves_nothing_that_reconciling_does_not_clear(
    pyctl: Pyctl, registry: Registry, name: str, number: signal.Signals
) -> None:
    ref = registry.push(f"images/{name.lower()}", [tar({"noise": os.urandom(30_000_000)})])
    command = pyctl.popen("pull", "--progress", "plain", ref, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert command.stdout is not None
    while b"fs layer" not in command.stdout.readline():
        assert command.poll() is None
    command.send_signal(number)
    command.communicate(timeout=30)
    assert command.returncode in (0, 128 + number)
    if command.returncode:  # it may have been done already
        assert pyctl("image", "inspect", ref, ok=False).code == 1
    pyctl("rmi", "-f", ref, ok=False)
    pyctl("system", "reconcile")


def test_the_native_snapshotter_is_filled_too(pyctl: Pyctl, image: str, engine: Engine) -> None:
    pyctl("--snapshotter", "native", "pull", image)
    assert inspect(pyctl, image)["RootFS"]["Layers"][0] in engine.ctr("snapshots", "--snapshotter", "native", "ls")


def test_a_loaded_image_runs_with_another_snapshotter_and_no_registry(pyctl: Pyctl, name: str) -> None:
    pyctl("load", stdin=docker_archive([f"{name.lower()}:1"], busybox_layer()))
    run = ("run", "--rm", "--network", "none", "--pull", "never", f"{name.lower()}:1", "/bin/busybox", "echo", "up")
    assert pyctl("--snapshotter", "native", *run).out == "up"
    pyctl("rmi", f"{name.lower()}:1")


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("{host}/images/absent:1", "manifest for {host}/images/absent:1 not found: manifest unknown"),
        ("127.0.0.1:1/x", "registry 127.0.0.1:1 did not answer: Connection refused"),
        ("UPPER/x:", "invalid reference format"),
        ("{host}/Images/x", "must be lowercase"),
    ],
)
def test_a_pull_that_cannot_work_says_why_in_one_line(pyctl: Pyctl, registry: Registry, ref: str, words: str) -> None:
    done = pyctl("pull", "-q", ref.format(host=registry.host), ok=False)
    assert done.code == 1
    assert words.format(host=registry.host) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_platform_the_image_lacks_is_named(pyctl: Pyctl, image: str) -> None:
    done = pyctl("pull", "-q", "--platform", "linux/s390x", image, ok=False)
    assert "no matching manifest for linux/s390x in the manifest list entries" in done.stderr


def test_an_image_of_another_platform_runs_with_a_warning_unless_it_was_asked_for(pyctl: Pyctl, name: str) -> None:
    other = "s390x" if ARCHITECTURE != "s390x" else "amd64"
    pyctl("load", stdin=docker_archive([f"{name.lower()}:1"], busybox_layer(), architecture=other))
    run = ("run", "--rm", "--network", "none", "--pull", "never")
    words = f"The requested image's platform (linux/{other}) does not match the detected host platform (linux/{ARCHITECTURE})"
    done = pyctl(*run, f"{name.lower()}:1", "/bin/busybox", "true")
    assert words in done.stderr
    assert pyctl(*run, "--platform", f"linux/{other}", f"{name.lower()}:1", "/bin/busybox", "true").stderr == ""
    done = pyctl(*run, "--platform", "linux/arm/v5", f"{name.lower()}:1", "/bin/busybox", "true", ok=False)
    assert done.code == 125
    assert "was found but does not provide the specified platform (linux/arm/v5)" in done.stderr
    pyctl("rmi", f"{name.lower()}:1")


def test_a_layer_that_is_not_what_the_configuration_says_is_refused(pyctl: Pyctl, registry: Registry, name: str) -> None:
    layer = Blob(f"{OCI}.layer.v1.tar+gzip", gzip.compress(BASE, mtime=0))
    config = {"os": "linux", "architecture": ARCHITECTURE, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    config_blob = Blob(f"{OCI}.config.v1+json", json.dumps(config).encode())
    document = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": config_blob.descriptor(),
        "layers": [layer.descriptor()],
    }
    repository = f"images/{name.lower()}"
    registry.put_blob(repository, layer)
    registry.put_blob(repository, config_blob)
    registry.put_manifest(repository, "1", Blob(f"{OCI}.manifest.v1+json", json.dumps(document).encode()))
    done = pyctl("pull", "-q", f"{registry.host}/{repository}:1", ok=False)
    assert "but the image says sha256:000" in done.stderr
    assert pyctl("images", "-q", f"{registry.host}/{repository}").out == ""


def test_a_second_name_goes_without_the_image(pyctl: Pyctl, image: str) -> None:
    pyctl("pull", "-q", image)
    pyctl("tag", image, "other:1")
    assert set(inspect(pyctl, image)["RepoTags"]) == {image, "other:1"}
    assert pyctl("rmi", "other:1").out == "Untagged: other:1"
    assert inspect(pyctl, image)["RepoTags"] == [image]


def test_an_image_in_two_repositories_is_removed_by_id_only_with_force(pyctl: Pyctl, image: str) -> None:
    pyctl("pull", "-q", image)
    pyctl("tag", image, "other:1")
    image_id = inspect(pyctl, image)["Id"]
    done = pyctl("rmi", image_id, ok=False)
    assert "(must be forced) - image is referenced in multiple repositories" in done.stderr
    assert set(pyctl("rmi", "-f", image_id).out.splitlines()[:2]) == {f"Untagged: {image}", "Untagged: other:1"}


def test_an_image_that_a_container_uses_goes_only_with_force(pyctl: Pyctl, image: str) -> None:
    container_id = pyctl("create", "--network", "none", image).out
    done = pyctl("rmi", image, ok=False)
    assert f"(must force) - container {container_id[:12]} is using its referenced image" in done.stderr
    by_id = pyctl("rmi", inspect(pyctl, image)["Id"], ok=False)
    assert f"(must be forced) - image is being used by stopped container {container_id[:12]}" in by_id.stderr
    assert pyctl("rmi", "-f", image).out.startswith(f"Untagged: {image}\n")
    pyctl("rm", container_id)


def test_removing_a_missing_image_by_force_is_a_line_and_no_failure(pyctl: Pyctl) -> None:
    done = pyctl("rmi", "-f", "nosuch", ok=False)
    assert (done.code, done.stderr) == (0, "pyctl: No such image: nosuch:latest\n")
    assert pyctl("rmi", "-f", "nosuch", "NO", ok=False).code == 1


def test_a_running_containers_image_loses_its_name_but_not_its_content(pyctl: Pyctl, registry: Registry, name: str) -> None:
    ref = registry.push(f"images/{name.lower()}", [busybox_layer()])
    container_id = pyctl("run", "-d", "--network", "none", ref, "sleep", "1000").out
    image_id = inspect(pyctl, ref)["Id"]
    assert "(cannot be forced) - image is being used by running container" in pyctl("rmi", "-f", image_id, ok=False).stderr
    assert pyctl("rmi", "-f", ref).out == f"Untagged: {ref}"
    assert inspect(pyctl, image_id)["RepoTags"] == []
    pyctl("rm", "-f", container_id)
    pyctl("rmi", image_id)


def test_saved_images_come_back_the_same(pyctl: Pyctl, image: str, tmp_path: Path) -> None:
    pyctl("pull", "-q", image)
    before = inspect(pyctl, image)
    file = tmp_path / "saved.tar"
    pyctl("save", "-o", str(file), image)
    assert pyctl("save", image).raw == file.read_bytes()
    pyctl("rmi", image)
    assert pyctl("load", "-i", str(file)).out == f"Loaded image: {image}"
    after = inspect(pyctl, image)
    for one in (before, after):
        one.pop("Metadata")
    assert after == before


def test_what_was_saved_another_client_can_import(pyctl: Pyctl, image: str, engine: Engine, tmp_path: Path) -> None:
    pyctl("pull", "-q", image)
    file = tmp_path / "saved.tar"
    pyctl("save", "-o", str(file), image)
    pyctl("rmi", image)
    engine.ctr("images", "import", str(file))
    assert image in engine.ctr("images", "ls", "-q").split()


def docker_archive(names: list[str], *layers: bytes, architecture: str = ARCHITECTURE) -> bytes:
    """What ``docker save`` wrote before it knew OCI layouts; equal layers are links."""
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {"Cmd": ["old"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    body = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(body).hexdigest()}.json"
    entry = {"Config": config_name, "RepoTags": names, "Layers": [f"{n}/layer.tar" for n, _ in enumerate(layers)]}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for n, layer in enumerate(layers):
            info = tarfile.TarInfo(f"{n}/layer.tar")
            if n and layer == layers[0]:
                info.type, info.linkname = tarfile.SYMTYPE, "../0/layer.tar"
                archive.addfile(info)
                continue
            info.size = len(layer)
            archive.addfile(info, io.BytesIO(layer))
        for file_name, content in {config_name: body, "manifest.json": json.dumps([entry]).encode()}.items():
            info = tarfile.TarInfo(file_name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


ABSENT = {"mediaType": f"{OCI}.manifest.v1+json", "digest": f"sha256:{'0' * 64}", "size": 3}
ABSENT_INDEX = json.dumps({"schemaVersion": 2, "manifests": [ABSENT]}).encode()


def test_an_archive_of_the_old_kind_is_loaded_from_a_pipe(pyctl: Pyctl) -> None:
    body = gzip.compress(docker_archive(["old:1", "old:2"], BASE, tar({"second": b"2"}), BASE))
    assert pyctl("load", stdin=body).out.splitlines() == ["Loaded image: old:1", "Loaded image: old:2"]
    assert inspect(pyctl, "old:1")["Config"]["Cmd"] == ["old"]
    pyctl("rmi", "old:1", "old:2")


def test_an_archive_compressed_with_zstd_is_loaded(pyctl: Pyctl, name: str) -> None:
    body = docker_archive([f"{name.lower()}:1"], BASE)
    packed = subprocess.run(["zstd", "-cq"], input=body, capture_output=True, check=True).stdout
    assert pyctl("load", stdin=packed).out == f"Loaded image: {name.lower()}:1"
    pyctl("rmi", f"{name.lower()}:1")


def test_an_archive_without_a_name_is_loaded_by_id(pyctl: Pyctl) -> None:
    image_id = pyctl("load", stdin=docker_archive([], BASE)).out.removeprefix("Loaded image ID: ")
    assert inspect(pyctl, image_id)["RepoTags"] == []
    pyctl("rmi", image_id)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"this is no archive", "not an image archive"),
        (tar({"some": b"file"}), "the archive holds no image"),
        (tar({"../../etc/evil": b"x"}), "points outside of it"),
        (tar({"manifest.json": b'[{"Config": "absent.json", "Layers": []}]'}), "absent.json is missing"),
        (tar({"manifest.json": b"{"}), "manifest.json"),
        (tar({f"blobs/sha256/{'0' * 64}": b"x"}), "0000000"),
        (docker_archive(["cut:1"], BASE)[:3000], "not an image archive"),
        (tar({"manifest.json": b'[{"Config": "c.json", "Layers": []}]', "c.json": b"[]"}), "malformed: not an object"),
        (tar({"index.json": ABSENT_INDEX}), f"the archive is incomplete: sha256:{'0' * 64} is missing"),
    ],
)
def test_an_archive_that_is_broken_is_refused(pyctl: Pyctl, body: bytes, words: str) -> None:
    done = pyctl("load", stdin=body, ok=False)
    assert done.code == 1
    assert words in done.stderr


def test_containerd_pulls_by_itself_where_it_can(pyctl: Pyctl, image: str, engine: Engine, tmp_path: Path) -> None:
    config = tmp_path / "pyctl.toml"
    config.write_text('[image]\nprovider = "transfer"\n')
    done = pyctl("pull", "-q", image, env={"PYCTL_TOML": str(config)}, ok=False)
    if engine.version == "1.6":
        assert "only 1.7 and later can" in done.stderr
    else:
        assert done.out == image
        assert len(inspect(pyctl, image)["RootFS"]["Layers"]) == 2
