"""Pulling from a registry: what arrives, what is asked for, and how it fails."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pyctl_hookspecs import ImageRequest, NotFoundError, PullProgress, PyctlError, UnavailableError, UnsupportedError, references
from pyctl_hookspecs.errors import CancelledError
from pyctl_plugins.image import _fetch, _hosts, _http
from pyctl_plugins.image import registry as plugin

if TYPE_CHECKING:
    from conftest import FakeHost, Registry

    from pyctl_hookspecs import ResolvedImage

LAYERS = (os.urandom(3_000_000), b"two" * 1000, b"three")


def pull(registry: Registry, host: FakeHost, name: str = "library/x:1", **options: Any) -> ResolvedImage:
    options.setdefault("docker_config_dir", "/nonexistent")
    request = ImageRequest(image_ref=f"{registry.host}/{name}", snapshotter="overlayfs", **options)
    return plugin.resolve_image(request, "", host)  # type: ignore[arg-type]


def test_a_pull_stores_every_blob_unpacks_in_order_and_names_the_image(registry: Registry, host: FakeHost) -> None:
    manifest = registry.add_image(*LAYERS, tags=("1",))
    image = pull(registry, host)
    assert set(host.content.blobs) == {manifest.digest, *registry.blobs}
    assert host.images.names == {f"{registry.host}/library/x:1": image.target}
    assert image.target == manifest
    assert image.platform == "linux/amd64"
    assert image.chain_id == "chain-of-3"
    document = json.loads(host.content.blobs[manifest.digest])
    assert host.images.unpacked == [layer["digest"] for layer in document["layers"]]


def test_blobs_carry_the_labels_that_keep_them(registry: Registry, host: FakeHost) -> None:
    manifest = registry.add_image(*LAYERS)
    index = registry.add_index({"linux/amd64": manifest}, "1")
    pull(registry, host)
    document = json.loads(host.content.blobs[manifest.digest])
    labels = host.content.labels[manifest.digest]
    assert labels["containerd.io/gc.ref.content.config"] == document["config"]["digest"]
    assert labels["containerd.io/gc.ref.content.l.2"] == document["layers"][2]["digest"]
    assert host.content.labels[index.digest]["containerd.io/gc.ref.content.m.0"] == manifest.digest
    for found in host.content.labels.values():
        assert found[f"containerd.io/distribution.source.{registry.host}"] == "library/x"


def test_a_blob_that_exists_is_not_fetched_again(registry: Registry, host: FakeHost) -> None:
    registry.add_image(*LAYERS, tags=("1",))
    pull(registry, host)
    registry.requests.clear()
    events: list[PullProgress] = []
    pull(registry, host, progress=events.append)
    assert registry.paths("/blobs/") == []
    assert {event.state for event in events} == {"exists"}


def test_every_new_layer_is_announced_until_it_is_unpacked(registry: Registry, host: FakeHost) -> None:
    registry.add_image(*LAYERS, tags=("1",))
    events: list[PullProgress] = []
    pull(registry, host, progress=events.append)
    for digest in host.images.unpacked:
        states = list(dict.fromkeys(event.state for event in events if event.digest == digest))
        assert states == ["waiting", "downloading", "downloaded", "unpacking", "done"]


def test_a_pull_by_digest_of_a_complete_image_asks_nobody(registry: Registry, host: FakeHost) -> None:
    manifest = registry.add_image(*LAYERS, tags=("1",))
    pull(registry, host)
    registry.requests.clear()
    assert pull(registry, host, f"library/x@{manifest.digest}").target.digest == manifest.digest
    assert registry.requests == []


def test_a_broken_connection_is_resumed_where_it_broke(registry: Registry, host: FakeHost) -> None:
    registry.add_image(LAYERS[0], tags=("1",))
    big = max(registry.blobs, key=lambda digest: len(registry.blobs[digest]))
    registry.break_after[big] = [1_500_000, 700_000]
    pull(registry, host)
    assert host.content.blobs[big] == registry.blobs[big]
    ranges = [headers.get("Range") for path, headers in registry.requests if path.endswith(big)]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert all(text is not None for text in ranges[1:])


def test_a_registry_without_ranges_is_resumed_by_skipping(registry: Registry, host: FakeHost) -> None:
    registry.ranges = False
    registry.add_image(LAYERS[0], tags=("1",))
    big = max(registry.blobs, key=lambda digest: len(registry.blobs[digest]))
    registry.break_after[big] = [2_100_000]
    pull(registry, host)
    assert host.content.blobs[big] == registry.blobs[big]


def test_an_ingest_with_foreign_bytes_is_begun_again(registry: Registry, host: FakeHost) -> None:
    registry.add_image(b"layer", tags=("1",))
    for digest in registry.blobs:
        host.content.ingests[f"layer-{digest}"] = b"garbage"
    pull(registry, host)
    assert all(host.content.blobs[digest] == body for digest, body in registry.blobs.items())


@pytest.mark.parametrize("ranges", [True, False])
def test_a_layer_that_is_shorter_than_announced_is_refused_and_not_asked_for_for_ever(
    registry: Registry, host: FakeHost, monkeypatch: pytest.MonkeyPatch, ranges: bool
) -> None:
    monkeypatch.setattr(_fetch, "_FRUITLESS_ATTEMPTS", 2)
    registry.ranges = ranges
    registry.add_image(b"layer", tags=("1",))
    layer = next(digest for digest, body in registry.blobs.items() if body[:2] == b"\x1f\x8b")
    size = len(registry.blobs[layer])
    registry.blobs[layer] = registry.blobs[layer][:-1]
    with pytest.raises(PyctlError, match=f"the registry has {size - 1} of {size} bytes" if ranges else "at the same place"):
        pull(registry, host)
    assert host.images.names == {}


def test_a_corrupt_layer_is_refused_and_the_image_gets_no_name(registry: Registry, host: FakeHost) -> None:
    registry.add_image(b"layer", tags=("1",))
    layer = next(digest for digest, body in registry.blobs.items() if body[:2] == b"\x1f\x8b")
    registry.blobs[layer] = registry.blobs[layer][:-1] + b"!"
    with pytest.raises(PyctlError, match="filesystem layer verification failed for digest"):
        pull(registry, host)
    assert host.images.names == {}


def test_a_blob_longer_than_announced_is_refused(registry: Registry, host: FakeHost) -> None:
    registry.add_image(b"layer", tags=("1",))
    layer = next(digest for digest, body in registry.blobs.items() if body[:2] == b"\x1f\x8b")
    registry.blobs[layer] += b"more"
    with pytest.raises(PyctlError, match="sends more than"):
        pull(registry, host)


def test_a_manifest_that_is_not_what_its_digest_says_is_refused(registry: Registry, host: FakeHost) -> None:
    manifest = registry.add_image(b"layer")
    registry.manifests[manifest.digest] = registry.manifests[manifest.digest][0], b"{}"
    with pytest.raises(PyctlError, match="manifest verification failed"):
        pull(registry, host, f"library/x@{manifest.digest}")


def test_an_index_leads_to_the_platform_asked_for(registry: Registry, host: FakeHost) -> None:
    amd64, arm = registry.add_image(b"1"), registry.add_image(b"2", architecture="arm")
    index = registry.add_index({"linux/amd64": amd64, "linux/arm/v6": arm}, "1")
    image = pull(registry, host, platforms=("linux/arm/v7",))
    assert (image.target.digest, image.manifest_digest) == (index.digest, arm.digest)
    assert amd64.digest not in host.content.blobs


def test_all_platforms_fetches_all_and_unpacks_what_runs_here(registry: Registry, host: FakeHost) -> None:
    amd64, arm = registry.add_image(b"1"), registry.add_image(b"2", architecture="arm64")
    registry.add_index({"linux/s390x": arm, "linux/amd64": amd64, "linux/arm64": arm}, "1")
    pull(registry, host, all_platforms=True)
    assert {amd64.digest, arm.digest, *registry.blobs} <= set(host.content.blobs)
    assert len(host.images.unpacked) <= 1


def test_a_platform_nobody_offers_is_named_in_dockers_words(registry: Registry, host: FakeHost) -> None:
    registry.add_index({"linux/amd64": registry.add_image(b"1")}, "1")
    with pytest.raises(NotFoundError, match=r"^no matching manifest for linux/arm64 in the manifest list entries$"):
        pull(registry, host, platforms=("linux/arm64/v8",))


def test_a_single_manifest_of_another_platform_is_refused_only_if_one_was_asked_for(registry: Registry, host: FakeHost) -> None:
    registry.add_image(b"1", architecture="s390x", tags=("1",))
    assert pull(registry, host).platform == "linux/s390x"
    with pytest.raises(NotFoundError, match=r"does not provide the specified platform \(linux/amd64\)"):
        pull(registry, host, platforms=("linux/amd64",))


def test_an_unknown_tag_is_named_in_dockers_words(registry: Registry, host: FakeHost) -> None:
    with pytest.raises(NotFoundError) as caught:
        pull(registry, host, "a:nope")
    assert str(caught.value) == f"manifest for {registry.host}/a:nope not found: manifest unknown: manifest unknown"


def test_a_refused_pull_is_named_in_dockers_words(registry: Registry, host: FakeHost) -> None:
    registry.deny = True
    with pytest.raises(PyctlError) as caught:
        pull(registry, host, "a/b:1")
    assert str(caught.value) == (
        f"pull access denied for {registry.host}/a/b, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied"
    )


def test_a_registry_that_is_not_there_is_unavailable(host: FakeHost) -> None:
    request = ImageRequest(image_ref="127.0.0.1:1/x:1", snapshotter="overlayfs")
    with pytest.raises(UnavailableError, match="did not answer: Connection refused"):
        plugin.resolve_image(request, "", host)  # type: ignore[arg-type]


def test_a_registry_in_trouble_is_asked_again(registry: Registry, host: FakeHost) -> None:
    manifest = registry.add_image(b"1", tags=("1",))
    registry.statuses = [503]
    assert pull(registry, host).target == manifest


def test_an_anonymous_token_is_fetched_once_and_kept(registry: Registry, host: FakeHost) -> None:
    registry.bearer = "sesame"
    registry.add_image(*LAYERS, tags=("1",))
    pull(registry, host)
    (asked,) = registry.paths("/token")
    assert asked == "/token?service=tests&scope=repository%3Ax%3Apull"


def test_a_token_that_expires_is_renewed(registry: Registry, host: FakeHost) -> None:
    registry.bearer = "first"
    registry.add_image(*LAYERS, tags=("1",))

    def expire(_: object) -> None:
        registry.bearer = "second"

    host.images.on_layer = expire
    pull(registry, host, parallel_layers=1)
    assert 1 <= len(registry.paths("/token")) <= 2
    assert len(host.content.blobs) == 5


def login(folder: Path, **config: object) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_credentials_from_the_docker_config_are_used(registry: Registry, host: FakeHost, tmp_path: Path) -> None:
    registry.basic = "me:secret"
    registry.add_image(b"1", tags=("1",))
    entry = {"auth": base64.b64encode(b"me:secret").decode()}
    pull(registry, host, docker_config_dir=login(tmp_path, auths={f"https://{registry.host}/v1/": entry}))
    assert host.images.names


def test_wrong_credentials_say_so(registry: Registry, host: FakeHost, tmp_path: Path) -> None:
    registry.basic, registry.bearer = "me:secret", "sesame"
    folder = login(tmp_path, auths={registry.host: {"username": "me", "password": "wrong"}})
    with pytest.raises(PyctlError, match=r"pull access denied for .*incorrect username or password"):
        pull(registry, host, docker_config_dir=folder)


def test_missing_credentials_say_so(registry: Registry, host: FakeHost) -> None:
    registry.basic = "me:secret"
    with pytest.raises(PyctlError, match=r"pull access denied for .*authentication required"):
        pull(registry, host)


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\nread server\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_credential_helper_is_asked(
    registry: Registry, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.basic, registry.bearer = "me:secret", "sesame"
    registry.add_image(b"1", tags=("1",))
    helper(tmp_path, monkeypatch, f'[ "$server" = {registry.host} ] && echo \'{{"Username":"me","Secret":"secret"}}\'')
    pull(registry, host, docker_config_dir=login(tmp_path, credHelpers={registry.host: "test"}))
    assert host.images.names


def test_a_helper_that_knows_nothing_means_anonymous(
    registry: Registry, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.bearer = "sesame"
    registry.add_image(b"1", tags=("1",))
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    pull(registry, host, docker_config_dir=login(tmp_path, credsStore="test"))
    assert host.images.names


def test_a_missing_helper_is_named(registry: Registry, host: FakeHost, tmp_path: Path) -> None:
    registry.bearer = "sesame"
    with pytest.raises(PyctlError, match=r"credential helper docker-credential-absent: executable file not found in \$PATH$"):
        pull(registry, host, docker_config_dir=login(tmp_path, credsStore="absent"))


def test_a_helper_that_fails_at_length_is_quoted_in_one_line(
    registry: Registry, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.bearer = "sesame"
    helper(tmp_path, monkeypatch, "printf 'keyring locked\nask again\n' >&2; exit 1")
    with pytest.raises(PyctlError, match=r"docker-credential-test: keyring locked ask again$"):
        pull(registry, host, docker_config_dir=login(tmp_path, credsStore="test"))


def test_a_helper_that_hangs_is_given_up(
    registry: Registry, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyctl_plugins.image import _auth

    monkeypatch.setattr(_auth, "_HELPER_TIMEOUT_S", 0.1)
    registry.bearer = "sesame"
    helper(tmp_path, monkeypatch, "exec sleep 60")
    with pytest.raises(PyctlError, match=r"docker-credential-test: no answer within 0\.1 seconds$"):
        pull(registry, host, docker_config_dir=login(tmp_path, credsStore="test"))


def mirror(tmp_path: Path, domain: str, text: str) -> tuple[str, ...]:
    (tmp_path / domain).mkdir()
    (tmp_path / domain / "hosts.toml").write_text(text)
    return (str(tmp_path),)


def test_a_mirror_answers_for_another_registry(registry: Registry, host: FakeHost, tmp_path: Path) -> None:
    registry.add_image(b"1", tags=("1",))
    dirs = mirror(tmp_path, "example.test", f'server = "http://127.0.0.1:1"\n[host."http://{registry.host}"]\n')
    request = ImageRequest(image_ref="example.test/a:1", snapshotter="overlayfs", hosts_dirs=dirs)
    plugin.resolve_image(request, "", host)  # type: ignore[arg-type]
    assert "example.test/a:1" in host.images.names
    assert registry.requests[0][0] == "/v2/a/manifests/1?ns=example.test"


def test_a_mirror_that_lacks_the_image_is_passed_over(registry: Registry, host: FakeHost, tmp_path: Path) -> None:
    registry.add_image(b"1", tags=("1",))
    text = f'server = "http://{registry.host}"\n[host."http://127.0.0.1:1"]\n[host."http://{registry.host}/empty"]\n'
    request = ImageRequest(image_ref="example.test/a:1", snapshotter="overlayfs", hosts_dirs=mirror(tmp_path, "_default", text))
    plugin.resolve_image(request, "", host)  # type: ignore[arg-type]
    assert "example.test/a:1" in host.images.names


class Fixed(_http.Session):
    """An endpoint that gives one answer to everything."""

    def __init__(self, answer: Exception | str) -> None:
        self.endpoint = _hosts.Endpoint(host="fixed.test")
        self.asked = 0
        self._answer = answer

    def get(self, path: str, headers: dict[str, str]) -> Any:
        self.asked += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_a_mirror_that_is_silent_is_not_waited_for_again_in_the_same_pull() -> None:
    silent, server = Fixed(UnavailableError("no answer")), Fixed("bytes")
    repository = _fetch.Repository(references.normalise("a:1"), (silent, server))
    for digest in ("sha256:1", "sha256:2", "sha256:3"):
        assert repository.blob(digest, 0) == "bytes"  # type: ignore[comparison-overlap]
    assert (silent.asked, server.asked) == (1, 3)


def test_an_interrupted_pull_stops(registry: Registry, host: FakeHost) -> None:
    registry.add_image(*LAYERS, tags=("1",))
    host.is_cancelled = True
    with pytest.raises(CancelledError):
        pull(registry, host)
    assert host.images.names == {}


def test_a_failing_unpack_ends_the_downloads_and_is_what_the_user_sees(registry: Registry, host: FakeHost) -> None:
    registry.add_image(*LAYERS, tags=("1",))

    def full(_: object) -> None:
        raise PyctlError("no space left on device")

    host.images.on_layer = full
    with pytest.raises(PyctlError, match=r"^no space left on device$"):
        pull(registry, host)
    assert host.images.names == {}


def test_schema_1_is_refused(registry: Registry, host: FakeHost) -> None:
    registry.manifests["1"] = ("application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion": 1}')
    with pytest.raises(UnsupportedError, match="schema 1"):
        pull(registry, host)


def test_what_is_no_container_image_is_refused(registry: Registry, host: FakeHost) -> None:
    chart = registry.add(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    config = registry.add(b"{}", "application/vnd.cncf.helm.config.v1+json")
    parts = {
        "config": {"mediaType": config.media_type, "digest": config.digest, "size": config.size_bytes},
        "layers": [{"mediaType": chart.media_type, "digest": chart.digest, "size": chart.size_bytes}],
    }
    registry.add_manifest(parts, "application/vnd.oci.image.manifest.v1+json", "1")
    with pytest.raises(UnsupportedError, match="is not a container image"):
        pull(registry, host)


def test_the_unpackers_next_layer_goes_first_and_everyone_gives_way_to_the_unpacker(host: FakeHost) -> None:
    pauses: list[float] = []
    watch = _fetch.Watch(host, None)  # type: ignore[arg-type]
    watch.stop.wait = pauses.append  # type: ignore[assignment,method-assign]

    watch.give_way("any")
    watch.first = "first"
    watch.give_way("first")
    assert pauses == []
    watch.give_way("other")
    watch.is_ahead = True
    watch.give_way("first")
    watch.give_way("other")
    assert len(pauses) == 3


def test_the_configuration_gives_way_to_nobody(registry: Registry, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = registry.add_image(*LAYERS, tags=("1",))
    polite: set[str] = set()
    monkeypatch.setattr(_fetch.Watch, "give_way", lambda _watch, digest: polite.add(digest))
    pull(registry, host)
    document = json.loads(host.content.blobs[manifest.digest])
    assert polite == {layer["digest"] for layer in document["layers"]}
