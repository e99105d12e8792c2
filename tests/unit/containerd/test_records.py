"""Services translate between messages and records without losing or inventing anything."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.containerd.fakes import FakeTransport, Refusal

from pyctl.containerd._api import cgroups1_pb2, cgroups2_pb2, common_pb2, containers_pb2, daemon_pb2, events_pb2, tasks_pb2
from pyctl.containerd.containers import Containers
from pyctl.containerd.events import decode as decode_event
from pyctl.containerd.metrics import decode as decode_metrics
from pyctl.containerd.namespaces import Namespaces
from pyctl.containerd.records import SPEC_TYPE, AnyValue, Container
from pyctl.containerd.tasks import Tasks, runc_options, runc_options_in
from pyctl.containerd.transfer import kind_of

CONTAINER = Container(
    container_id="c1",
    labels={"nerdctl/name": "web"},
    image="docker.io/library/nginx:latest",
    runtime_name="io.containerd.runc.v2",
    runtime_options=AnyValue(type_url="containerd.runc.v1.Options", value=b"\x32\x04crun"),
    spec_json=b'{"ociVersion":"1.0.2"}',
    snapshotter="overlayfs",
    snapshot_key="c1",
    extensions={"x": AnyValue(type_url="t", value=b"v")},
)


def echo(request: Any) -> Any:
    return containers_pb2.CreateResponse(container=request.container)


def test_a_container_survives_the_way_there_and_back() -> None:
    transport = FakeTransport(Create=echo)

    assert Containers(transport.calls()).create(CONTAINER) == CONTAINER
    assert transport.asked[0][1].container.spec.type_url == SPEC_TYPE


def test_an_update_names_its_fields() -> None:
    transport = FakeTransport(Update=lambda request: containers_pb2.UpdateResponse(container=request.container))

    Containers(transport.calls()).update(CONTAINER, ("labels.x",))

    assert list(transport.asked[0][1].update_mask.paths) == ["labels.x"]


def test_looking_for_a_name_asks_for_name_and_id_prefix() -> None:
    transport = FakeTransport(ListStream=lambda request: [])

    Containers(transport.calls()).find("my.web")

    assert list(transport.asked[0][1].filters) == ['labels."nerdctl/name"=="my.web"', 'id~="^my[.]web"']


@pytest.mark.parametrize("text", ["", 'a"b', "a b", "^", "a/b"])
def test_what_cannot_be_a_name_is_not_even_asked_for(text: str) -> None:
    transport = FakeTransport()

    assert Containers(transport.calls()).find(text) == ()
    assert transport.asked == []


def test_every_call_says_its_namespace() -> None:
    transport = FakeTransport(ListStream=lambda request: [])

    Containers(transport.calls("blue")).list()

    assert transport.metadata == (("containerd-namespace", "blue"),)


def test_a_namespace_that_exists_is_ensured() -> None:
    def refuse(request: Any) -> Any:
        raise Refusal(6, "exists")

    Namespaces(FakeTransport(Create=refuse).calls()).ensure("n")


def test_namespaces_are_sorted() -> None:
    listed = [daemon_pb2.Namespace(name=name) for name in ("b", "a")]
    transport = FakeTransport(List=lambda request: daemon_pb2.ListNamespacesResponse(namespaces=listed))

    assert Namespaces(transport.calls()).list() == ("a", "b")


def test_the_status_of_an_exec_names_its_container() -> None:
    process = tasks_pb2.Process(id="e1", pid=7, status=tasks_pb2.RUNNING)
    transport = FakeTransport(Get=lambda request: tasks_pb2.GetResponse(process=process))

    status = Tasks(transport.calls()).get("c1", "e1")

    assert (status.container_id, status.exec_id, status.pid, status.status) == ("c1", "e1", 7, "running")


def test_runc_options_can_be_read_back() -> None:
    options = runc_options(binary_name="crun", root="/r", systemd_cgroup=True)

    assert options.type_url == "containerd.runc.v1.Options"
    assert runc_options_in(options) == {"binary_name": "crun", "root": "/r", "systemd_cgroup": True}
    assert runc_options_in(None) == {}
    assert runc_options_in(AnyValue(type_url="else", value=b"\xff")) == {}


def envelope(topic: str, type_url: str, message: Any) -> events_pb2.Envelope:
    event = common_pb2.Any(type_url=type_url, value=message.SerializeToString())
    return events_pb2.Envelope(topic=topic, namespace="n", timestamp=common_pb2.Timestamp(seconds=1), event=event)


def test_the_exit_of_an_init_has_no_exec_id() -> None:
    exited = events_pb2.TaskExit(
        container_id="c", id="c", pid=3, exit_status=137, exited_at=common_pb2.Timestamp(seconds=1700000000)
    )

    event = decode_event(envelope("/tasks/exit", "containerd.events.TaskExit", exited))

    assert (event.object_id, event.exec_id, event.pid, event.exit_status) == ("c", "", 3, 137)
    assert event.exited_at == "2023-11-14T22:13:20Z"


def test_the_exit_of_an_exec_has_one() -> None:
    event = decode_event(
        envelope("/tasks/exit", "containerd.events.TaskExit", events_pb2.TaskExit(container_id="c", id="e", exit_status=1))
    )

    assert (event.object_id, event.exec_id, event.exit_status) == ("c", "e", 1)


def test_image_events_have_their_own_type_prefix() -> None:
    message = events_pb2.ImageCreate(name="i", labels={"a": "b"})

    event = decode_event(envelope("/images/create", "containerd.services.images.v1.ImageCreate", message))

    assert (event.object_id, event.labels) == ("i", {"a": "b"})


def test_an_unknown_event_keeps_its_topic() -> None:
    event = decode_event(envelope("/x", "someone.else.TaskExit", events_pb2.TaskExit(container_id="c")))

    assert (event.topic, event.type_url, event.object_id) == ("/x", "someone.else.TaskExit", "")


def metric(type_url: str, message: Any) -> tasks_pb2.Metric:
    return tasks_pb2.Metric(id="c", data=common_pb2.Any(type_url=type_url, value=message.SerializeToString()))


def test_both_cgroup_versions_have_one_shape() -> None:
    blocks = [cgroups1_pb2.BlkIOEntry(op=op, value=value) for op, value in (("Read", 10), ("Write", 20), ("Sync", 30))]
    v1 = cgroups1_pb2.Metrics(
        cpu=cgroups1_pb2.CPUStat(usage=cgroups1_pb2.CPUUsage(total=5000)),
        memory=cgroups1_pb2.MemoryStat(
            usage=cgroups1_pb2.MemoryEntry(usage=100, limit=9223372036854771712), total_inactive_file=30
        ),
        pids=cgroups1_pb2.PidsStat(current=2),
        blkio=cgroups1_pb2.BlkIOStat(io_service_bytes_recursive=blocks),
    )
    v2 = cgroups2_pb2.Metrics(
        cpu=cgroups2_pb2.CPUStat(usage_usec=5),
        memory=cgroups2_pb2.MemoryStat(usage=100, usage_limit=2**64 - 1, inactive_file=30),
        pids=cgroups2_pb2.PidsStat(current=2),
        io=cgroups2_pb2.IOStat(usage=[cgroups2_pb2.IOEntry(rbytes=10, wbytes=20)]),
    )

    first = decode_metrics(metric("io.containerd.cgroups.v1.Metrics", v1))
    second = decode_metrics(metric("io.containerd.cgroups.v2.Metrics", v2))

    assert (first.cgroup_version, second.cgroup_version) == (1, 2)
    assert first == second.replace(cgroup_version=1)
    assert (first.cpu_ns, first.memory_bytes, first.memory_limit_bytes, first.pids) == (5000, 70, 0, 2)
    assert (first.block_read_bytes, first.block_write_bytes) == (10, 20)


def test_metrics_of_an_unknown_runtime_are_zeros() -> None:
    assert decode_metrics(metric("else", common_pb2.Empty())).cgroup_version == 0


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/vnd.oci.image.index.v1+json", "index"),
        ("application/vnd.docker.distribution.manifest.list.v2+json", "index"),
        ("application/vnd.oci.image.manifest.v1+json", "manifest"),
        ("application/vnd.docker.distribution.manifest.v2+json", "manifest"),
        ("application/vnd.oci.image.config.v1+json", "config"),
        ("application/vnd.docker.container.image.v1+json", "config"),
        ("application/vnd.oci.image.layer.v1.tar+gzip", "layer"),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", "layer"),
    ],
)
def test_media_types_have_a_kind(media_type: str, kind: str) -> None:
    assert kind_of(media_type) == kind
