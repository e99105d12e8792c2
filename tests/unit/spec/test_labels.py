"""Labels and annotations shared with nerdctl."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyctl.spec.endpoints import Endpoint
from pyctl.spec.labels import LabelFacts, annotations_for, build_labels, mount_points, user_labels
from pyctl.spec.mounts import MountPoint
from pyctl.spec.options import ContainerOptions
from pyctl_hookspecs import InvalidArgumentError, MountOutcome, OciMount

ALWAYS = (
    "namespace name hostname domainname extraHosts state-dir networks log-uri log-config platform ipc auto-remove host-config dns"
)
MOUNT = OciMount(type="bind", source="/s", destination="/d")
FACTS = LabelFacts(
    namespace="default",
    container_name="web",
    hostname="h",
    state_dir="/state",
    endpoints=(Endpoint(network="bridge"),),
    extra_hosts=("db:10.0.0.2",),
    platform="linux/amd64",
    log_uri="binary:///log",
    address="/run/c.sock",
    mounts=(
        MountOutcome(
            mount=MOUNT, type="bind", source="/s", destination="/d", mode="ro", read_write=False, propagation="rprivate"
        ),
        MountOutcome(mount=MOUNT, type="volume", name="data", source="/v", destination="/v", driver="local", mode="z"),
    ),
    anonymous_volumes=("f" * 64,),
)


def build(image: dict[str, Any] | None = None, **values: Any) -> dict[str, str]:
    return build_labels(ContainerOptions(image="x", **values), image or {}, FACTS)


def test_what_nerdctl_expects_on_every_container_is_there() -> None:
    labels = build()
    assert {f"nerdctl/{key}" for key in ALWAYS.split()} <= {*labels}
    assert json.loads(labels["nerdctl/networks"]) == ["bridge"]
    assert json.loads(labels["nerdctl/extraHosts"]) == ["db:10.0.0.2"]
    assert json.loads(labels["nerdctl/log-config"]) == {"driver": "json-file", "address": "/run/c.sock"}
    assert json.loads(labels["nerdctl/ipc"]) == {"mode": "private"}
    assert json.loads(labels["nerdctl/anonymous-volumes"]) == ["f" * 64]
    assert "nerdctl/ports" not in labels and "nerdctl/privileged" not in labels


def test_shared_memory_that_others_may_join_says_where_it_is() -> None:
    assert json.loads(build(ipc="shareable")["nerdctl/ipc"]) == {"mode": "shareable", "hostShmPath": "/state/shm"}


def test_each_mount_has_a_label_and_reads_back() -> None:
    labels = build()
    assert json.loads(labels["nerdctl/mounts.0"]) == {
        "Type": "bind",
        "Source": "/s",
        "Destination": "/d",
        "Mode": "ro",
        "RW": False,
        "Propagation": "rprivate",
    }
    assert mount_points(labels) == (
        MountPoint(type="bind", source="/s", destination="/d", mode="ro", read_write=False, propagation="rprivate"),
        MountPoint(type="volume", name="data", source="/v", destination="/v", driver="local", mode="z"),
    )


def test_mounts_read_back_in_the_order_of_their_numbers() -> None:
    labels = {f"nerdctl/mounts.{n}": json.dumps({"Type": "bind", "Destination": f"/{n}"}) for n in (10, 2, 0)}
    assert [point.destination for point in mount_points(labels)] == ["/0", "/2", "/10"]


def test_nerdctl_s_older_single_label_wins() -> None:
    labels = {"nerdctl/mounts": '[{"Type":"volume","Name":"v","Destination":"/a","RW":true}]', "nerdctl/mounts.0": "{}"}
    assert mount_points(labels) == (MountPoint(type="volume", name="v", destination="/a"),)
    assert mount_points({"nerdctl/mounts.0": "{torn"}) == ()


def test_an_explicit_stop_signal_wins_over_the_image_s() -> None:
    key = "io.containerd.image.config.stop-signal"
    assert build()[key] == "SIGTERM"
    assert build({"StopSignal": "SIGQUIT"})[key] == "SIGQUIT"
    assert build({"StopSignal": "SIGQUIT"}, stop_signal="SIGINT")[key] == "SIGINT"


def test_a_restart_policy_is_recorded_without_a_status() -> None:
    assert "containerd.io/restart.policy" not in build()
    labels = build(restart="on-failure:3")
    assert labels["containerd.io/restart.policy"] == "on-failure:3"
    assert "containerd.io/restart.status" not in labels


def test_the_user_s_labels_stand_over_the_image_s() -> None:
    image = {"Labels": {"a": "image", "b": "image", "nerdctl/name": "evil"}}
    labels = build(image, label=("a=user", "c"))
    assert (labels["a"], labels["b"], labels["c"], labels["nerdctl/name"]) == ("user", "image", "", "web")


def test_exposed_ports_come_from_image_and_user() -> None:
    labels = build({"ExposedPorts": {"80/tcp": {}}}, expose=("8000-8001/UDP", "9"))
    assert json.loads(labels["nerdctl/exposed-ports"]) == {"80/tcp": {}, "8000/udp": {}, "8001/udp": {}, "9/tcp": {}}


@pytest.mark.parametrize("text", ["=x", "nerdctl/name=x"])
def test_labels_that_are_no_user_s_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        user_labels(ContainerOptions(image="x", label=(text,)))


def test_a_label_that_is_too_long_for_containerd_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match='label "big" is too long: 5003 bytes'):
        build(label=("big=" + "x" * 5000,))


def test_annotations_hide_the_networks_from_nerdctl_s_stop() -> None:
    found = dict(annotations_for(build(label=("mine=1",)), ContainerOptions(image="x", annotation=("k=v=w",))))
    assert found["nerdctl/networks"] == '["none"]'
    assert found["nerdctl/name"] == "web" and found["nerdctl/state-dir"] == "/state"
    assert found["k"] == "v=w" and "mine" not in found
    for text in ("=x", "nerdctl/networks=x"):
        with pytest.raises(InvalidArgumentError):
            annotations_for({}, ContainerOptions(image="x", annotation=(text,)))


@pytest.mark.parametrize(
    ("image", "noted"), [("busybox", "busybox"), ("0123abcd", "0123abcd"), ("busybox:1", None), ("r.io/x:1", None)]
)
def test_what_the_user_typed_is_noted_where_the_image_s_name_does_not_show_it(image: str, noted: str | None) -> None:
    assert build_labels(ContainerOptions(image=image), {}, FACTS).get("pyctl/image") == noted


def test_pyctl_s_own_labels_come_from_nobody_else_and_are_not_shown() -> None:
    from pyctl.ops.listing import user_labels as shown

    labels = build(image={"Labels": {"pyctl/image": "forged"}})
    assert (labels["pyctl/image"], shown(labels)) == ("x", {})
    with pytest.raises(InvalidArgumentError, match='internal label "pyctl/image" must not be specified manually'):
        build(label=("pyctl/image=forged",))
