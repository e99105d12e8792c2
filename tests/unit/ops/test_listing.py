"""``ps``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.ops.reading import World

from pyctl.containerd.records import Container
from pyctl.ops import listing
from pyctl.ops.inspect_state import ContainerState
from pyctl.state.containers import ExitRecord
from pyctl_hookspecs import InvalidArgumentError, MountOutcome, NotFoundError, OciMount


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def names(world: World, *filters: str, every: bool = True, last: int = -1) -> list[str]:
    pairs = tuple((text.partition("=")[0], text.partition("=")[2]) for text in filters)
    return [one.name for one in listing.ls(world.session, every=every, filters=pairs, last=last)]


def test_running_ones_are_listed_and_the_newest_is_first(world: World) -> None:
    for name in ("a", "b", "c"):
        container = world.add(name)
        if name != "b":
            world.run(container, "paused" if name == "c" else "running")
    assert names(world, every=False) == ["c", "a"]
    assert names(world) == ["c", "b", "a"]
    assert names(world, every=False, last=2) == ["c", "b"]
    assert names(world, every=False, last=0) == ["c", "a"]


def test_the_daemon_is_asked_twice_however_many_there_are(world: World) -> None:
    for number in range(5):
        world.run(world.add(f"c{number}"))
    listing.ls(world.session)
    assert world.session.client.asked == ["containers.list", "tasks.list"]  # type: ignore[attr-defined]


def test_a_running_container_knows_its_ports_command_and_networks(world: World) -> None:
    container = world.add("web", "httpd", "-f", ports="8080:80", expose=("99",), label=("a=1",), networks=("bridge", "other"))
    world.run(container)
    (one,) = listing.ls(world.session)
    assert (one.image, one.command, one.names, one.networks) == ("busybox", ("httpd", "-f"), ("web",), ("bridge", "other"))
    assert [(port.host_port, port.container_port) for port in one.ports] == [(8080, 80)]
    assert one.exposed == ("99/tcp",)
    assert (one.state.status, one.state.pid, one.state.started_at) == ("running", 4711, "2026-01-02T00:00:00.5Z")
    assert dict(one.labels) == {"a": "1"}
    assert (one.runtime, one.platform) == ("io.containerd.runc.v2", "linux/amd64")


def test_a_stopped_container_has_no_ports(world: World) -> None:
    world.run(world.add("web", ports="8080:80", expose=("99",)), "stopped", exit_status=3, exited_at="2026-01-02T00:00:01Z")
    (one,) = listing.ls(world.session, every=True)
    assert (one.ports, one.exposed) == ((), ())
    assert (one.state.status, one.state.exit_code, one.state.finished_at) == ("exited", 3, "2026-01-02T00:00:01Z")


def test_an_exit_is_remembered_when_the_daemon_has_forgotten_it(world: World) -> None:
    container = world.add("a")
    world.state(container).save_started("2026-01-02T00:00:00Z")
    world.state(container).save_exit(ExitRecord(exit_code=7, exited_at="2026-01-02T00:00:01Z"))
    (one,) = listing.ls(world.session, every=True)
    assert (one.state.status, one.state.exit_code, one.state.finished_at) == ("exited", 7, "2026-01-02T00:00:01Z")


def test_a_run_whose_end_nobody_saw_has_exited_with_255(world: World) -> None:
    world.state(world.add("a")).save_started("2026-01-02T00:00:00Z")
    (one,) = listing.ls(world.session, every=True)
    assert (one.state.status, one.state.exit_code, one.state.finished_at) == ("exited", 255, "")


def test_while_it_runs_again_the_end_of_the_run_before_is_known(world: World) -> None:
    container = world.add("a")
    world.state(container).save_started("2026-01-01T00:00:00Z")
    world.state(container).save_exit(ExitRecord(exit_code=7, exited_at="2026-01-01T00:00:01Z"))
    world.run(container)
    (one,) = listing.ls(world.session, every=True)
    assert (one.state.status, one.state.exit_code) == ("running", 0)
    assert (one.state.started_at, one.state.finished_at) == ("2026-01-02T00:00:00.5Z", "2026-01-01T00:00:01Z")


def test_one_that_never_ran_is_created(world: World) -> None:
    world.add("a")
    world.run(world.add("b"), "created")
    assert [one.state.status for one in listing.ls(world.session, every=True)] == ["created", "created"]


@pytest.mark.parametrize(
    ("policy", "exit_code", "stopped", "status"),
    [
        ("always", 0, "false", "restarting"),
        ("always", 0, "true", "exited"),
        ("on-failure:3", 0, "false", "exited"),
        ("on-failure:3", 1, "false", "restarting"),
        ("nonsense", 1, "false", "exited"),
    ],
)
def test_one_that_its_policy_brings_back_is_restarting(
    world: World, policy: str, exit_code: int, stopped: str, status: str
) -> None:
    labels = {"containerd.io/restart.policy": policy, "containerd.io/restart.explicitly-stopped": stopped}
    container = world.add("a", labels=labels)
    world.state(container).save_exit(ExitRecord(exit_code=exit_code, exited_at="2026-01-02T00:00:01Z"))
    (one,) = listing.ls(world.session, every=True)
    assert one.state.status == status
    assert names(world, every=False) == (["a"] if status == "restarting" else [])


def test_an_init_of_ours_is_not_part_of_the_command(world: World) -> None:
    world.run(world.add("a", "sleep", "1", init=True))
    assert listing.ls(world.session)[0].command == ("sleep", "1")


def test_arguments_are_found_however_the_specification_is_written() -> None:
    spec = {"process": {"env": ['x="args":["no"]'], "user": {}, "args": ["a b", 'c"]', "ü"], "cwd": "/"}, "hooks": {}}
    for text in (json.dumps(spec), json.dumps(spec, separators=(",", ":")), json.dumps(spec, separators=(",", ":"), indent=1)):
        assert listing.spec_args(text.encode()) == ("a b", 'c"]', "ü")
    assert listing.spec_args(b"") == ()
    assert listing.spec_args(b'{"ociVersion":"1.0.2"}') == ()


def test_brief_reads_no_files_of_running_containers(world: World) -> None:
    container = world.add("a", ports="8080:80")
    world.run(container)
    for file in Path(world.state(container).path).iterdir():
        file.write_text("no JSON")
    (one,) = listing.ls(world.session, brief=True)
    assert (one.container_id, one.state.status, one.ports) == (container.container_id, "running", ())


def test_sizes_of_shared_layers_are_asked_once(world: World) -> None:
    world.snapshots |= {"base": ("", 100), "top": ("base", 10)}
    for number in (1, 2):
        container = world.add(f"c{number}")
        world.snapshots[container.container_id] = ("top", number)
    found = listing.ls(world.session, every=True, sizes=True)
    assert [(one.size_rw_bytes, one.size_root_bytes) for one in found] == [(2, 112), (1, 111)]
    assert world.session.client.asked.count("usage base") == 1  # type: ignore[attr-defined]


def test_a_container_without_a_snapshot_has_no_size(world: World) -> None:
    world.add("a")
    (one,) = listing.ls(world.session, every=True, sizes=True)
    assert (one.size_rw_bytes, one.size_root_bytes) == (0, 0)


@pytest.fixture
def three(world: World) -> World:
    data = MountOutcome(
        mount=OciMount(type="bind", source="/v/data", destination="/data", options=()),
        type="volume", name="data", source="/v/data", destination="/data", driver="local", mode="z",
    )  # fmt: skip
    world.add("one", label=("color=red", "x"), mounts=(data,))
    world.run(world.add("two", ports="8080:80", expose=("99/udp",), label=("color=blue",), networks=("host",)))
    last = world.add("three", labels={"nerdctl/healthstate": '{"Status":"healthy"}'}, networks=("other",))
    world.run(last, "stopped", exit_status=3, exited_at="2026-01-02T00:00:01Z")
    return world


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["name=^t"], ["three", "two"]),
        (["name=^/two$"], ["two"]),
        (["name=one", "name=two"], ["two", "one"]),
        (["name=("], []),
        (["id=2222"], ["two"]),
        (["id=222", "id=1"], ["two", "one"]),
        (["id="], []),
        (["label=color"], ["two", "one"]),
        (["label=color=red"], ["one"]),
        (["label=color", "label=x"], ["one"]),
        (["status=running"], ["two"]),
        (["status=created", "status=exited"], ["three", "one"]),
        (["exited=3"], ["three"]),
        (["exited=0"], []),
        (["health=healthy"], ["three"]),
        (["health=none"], ["two", "one"]),
        (["network=host"], ["two"]),
        (["network=host", "network=other"], ["three", "two"]),
        (["volume=data"], ["one"]),
        (["volume=/data"], ["one"]),
        (["volume=nope"], []),
        (["before=two"], ["one"]),
        (["since=one"], ["three", "two"]),
        (["since=one", "before=three"], ["two"]),
        (["expose=99/udp"], ["two"]),
        (["expose=70-90"], []),
        (["is-task=true"], []),
        (["is-task=false", "name=one"], ["one"]),
        (["name=two", "status=exited"], []),
    ],
)
def test_filters_choose_as_docker_does(three: World, filters: list[str], expected: list[str]) -> None:
    assert names(three, *filters) == expected


def test_published_means_the_port_of_the_machine(world: World) -> None:
    world.run(world.add("a", ports="8080:80/udp"))
    assert names(world, "publish=8080/udp") == ["a"]
    assert names(world, "publish=8000-9000/udp") == ["a"]
    assert names(world, "publish=8080") == []
    assert names(world, "publish=80/udp") == []
    assert names(world, "expose=80/udp") == ["a"]


def test_asking_for_a_state_asks_for_stopped_ones_too(three: World) -> None:
    assert names(three, "status=exited", every=False) == ["three"]
    assert names(three, "exited=3", every=False) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo=x", "invalid filter 'foo'"),
        ("status=foo", "invalid filter 'status=foo'"),
        ("exited=x", "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"),
        ("health=x", "unrecognized filter value for health: x"),
        ("publish=x", 'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax'),
        ("is-task=x", "invalid filter 'is-task=[x]'"),
    ],
)
def test_a_filter_that_is_none_is_refused_in_dockers_words(world: World, text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        names(world, text)
    assert str(refusal.value) == message


def test_before_a_container_that_does_not_exist_is_an_error(three: World) -> None:
    with pytest.raises(NotFoundError, match="No such container: nope"):
        names(three, "before=nope")


def test_a_network_is_found_by_the_beginning_of_its_id(world: World) -> None:
    from pyctl.state.networks import network_id

    world.add("a", networks=("host",))
    assert names(world, f"network={network_id('host')[:12]}") == ["a"]
    assert names(world, f"network={network_id('none')[:12]}") == []


def test_an_ancestor_is_the_image_or_what_it_was_built_on(world: World) -> None:
    base, top = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    world.add_image("docker.io/library/base:latest", (base,))
    world.add_image("docker.io/library/busybox:latest", (base, top))
    world.add_image("docker.io/library/other:latest", (top,))
    world.add("a")
    for reference, expected in (("busybox", ["a"]), ("base", ["a"]), ("other", []), ("nope", [])):
        assert names(world, f"ancestor={reference}") == expected
    del world.images["docker.io/library/busybox:latest"]
    assert names(world, "ancestor=busybox") == ["a"]  # the image is gone, its name is not


def test_ports_are_lines_or_the_addresses_of_one(world: World) -> None:
    container = world.add("web", ports="127.0.0.1:8080:80")
    assert listing.port(world.session, "web") == ()
    world.run(container)
    assert listing.port(world.session, "web") == ("80/tcp -> 127.0.0.1:8080",)
    assert listing.port(world.session, "web", "80") == ("127.0.0.1:8080",)
    with pytest.raises(InvalidArgumentError, match="o public port '81/tcp' published for web"):
        listing.port(world.session, "web", "81")
    with pytest.raises(NotFoundError, match="No such container: nope"):
        listing.port(world.session, "nope")


def test_ports_in_nerdctls_old_label_count(world: World) -> None:
    entry = [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "0.0.0.0"}]
    world.run(world.add("old", labels={"nerdctl/ports": json.dumps(entry)}))
    assert [port.host_port for port in listing.ls(world.session)[0].ports] == [8080]


def test_a_container_of_kubernetes_has_the_name_nerdctl_gives_it() -> None:
    labels = {"io.kubernetes.pod.namespace": "ns", "io.kubernetes.pod.name": "pod", "io.kubernetes.container.name": "c"}
    assert listing.display_name(labels) == "k8s://ns/pod/c"
    assert listing.display_name({}) == ""
    assert listing.ListedContainer(container=Container(container_id="a"), state=ContainerState(status="created")).names == ()
