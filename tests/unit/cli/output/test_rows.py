"""Rows of the list commands, in Docker's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyctl.cli.output import rows_containers, rows_images, rows_networks, rows_plugins, rows_volumes
from pyctl.cli.output.formats import list_text
from pyctl.cli.output.plans import plan_text
from pyctl.cli.output.templates import Row
from pyctl.cli.times import utc_seconds
from pyctl.containerd.records import Container
from pyctl.ops.image_listing import ImageRow
from pyctl.ops.inspect_state import ContainerState
from pyctl.ops.listing import ListedContainer
from pyctl.ops.networks import NetworkRow
from pyctl.ops.volumes import VolumeEntry
from pyctl.providers.listing import PluginRow
from pyctl_hookspecs.observers import PlannedStep
from pyctl_hookspecs.setup_network import PortMapping

NOW_S = utc_seconds("2026-01-01T00:10:00Z")
STARTED = "2026-01-01T00:05:00.5Z"


def listed(state: ContainerState | None = None, args: tuple[str, ...] = ("sleep", "100"), **fields: Any) -> ListedContainer:
    container = Container(
        container_id="0123456789abcdef" * 4,
        labels={"nerdctl/name": "web", "nerdctl/networks": '["bridge"]', "com.acme.tier": "front", "b": "1"},
        image="docker.io/library/nginx:latest",
        spec_json=json.dumps({"process": {"args": args}}, separators=(",", ":")).encode(),
        created_at="2026-01-01T00:00:00Z",
        runtime_name="io.containerd.runc.v2",
    )
    return ListedContainer(container=container, state=state or ContainerState(status="running", started_at=STARTED), **fields)


def row(one: ListedContainer, *, truncate: bool = True) -> Row:
    return rows_containers.ContainerFields(one, now_s=NOW_S, truncate=truncate).row()


def test_ps_prints_dockers_table() -> None:
    ports = (PortMapping(container_port=80, host_port=8080),)
    lines = [rows_containers.ContainerFields(listed(ports=ports), now_s=NOW_S, truncate=True).row(rows_containers.COLUMNS)]
    assert list_text(lines, "", rows_containers.COLUMNS, rows_containers.HEADERS) == (
        "CONTAINER ID   IMAGE          COMMAND       CREATED          STATUS         PORTS                  NAMES\n"
        '0123456789ab   nginx:latest   "sleep 100"   10 minutes ago   Up 4 minutes   0.0.0.0:8080->80/tcp   web\n'
    )


def test_ps_json_has_dockers_keys_and_only_texts() -> None:
    found = json.loads(list_text([row(listed())], "json", rows_containers.COLUMNS, rows_containers.HEADERS))
    assert sorted(found) == sorted(rows_containers.FIELDS)
    assert {type(value) for value in found.values()} == {str}
    assert found["Labels"] == "b=1,com.acme.tier=front"
    assert (found["Networks"], found["Size"], found["LocalVolumes"]) == ("bridge", "0B", "0")


def test_labels_and_runtime_can_be_asked_for() -> None:
    text = list_text([row(listed())], '{{.Label "com.acme.tier"}} {{.Runtime}}', (), rows_containers.HEADERS)
    assert text == "front io.containerd.runc.v2\n"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (ContainerState(status="created"), "Created"),
        (ContainerState(status="running"), "Up"),
        (ContainerState(status="running", started_at=STARTED), "Up 4 minutes"),
        (ContainerState(status="running", started_at=STARTED, health="healthy"), "Up 4 minutes (healthy)"),
        (ContainerState(status="running", started_at=STARTED, health="starting"), "Up 4 minutes (health: starting)"),
        (ContainerState(status="paused", started_at=STARTED), "Up 4 minutes (Paused)"),
        (ContainerState(status="exited", exit_code=137, finished_at=STARTED), "Exited (137) 4 minutes ago"),
        (ContainerState(status="exited", exit_code=255), "Exited (255)"),
        (ContainerState(status="restarting", exit_code=1, finished_at=STARTED), "Restarting (1) 4 minutes ago"),
        (ContainerState(status="dead"), "Dead"),
    ],
)
def test_status_is_worded_as_docker_words_it(state: ContainerState, status: str) -> None:
    assert row(listed(state))["Status"] == status


def test_commands_are_quoted_and_cut_at_twenty() -> None:
    args = ("/docker-entrypoint.sh", "sh", "-c", 'echo "a b"')
    assert row(listed(args=args))["Command"] == '"/docker-entrypoint.…"'
    assert row(listed(args=args), truncate=False)["Command"] == '"/docker-entrypoint.sh sh -c \'echo \\"a b\\"\'"'


def test_sizes_show_both_layers() -> None:
    assert row(listed(size_rw_bytes=1000, size_root_bytes=5_000_000))["Size"] == "1kB (virtual 5MB)"


def image_line(*, truncate: bool = True) -> Row:
    image = ImageRow(
        name="docker.io/library/nginx:latest",
        repository="nginx",
        tag="latest",
        digest="sha256:" + "ab" * 32,
        image_id="sha256:" + "ab" * 32,
        created_at="2025-12-25T00:00:00Z",
        size_bytes=77_800_000,
        blob_size_bytes=30_100_000,
        platform="linux/amd64",
        labels={},
    )
    return rows_images.image_row(image, now_s=NOW_S, truncate=truncate)


def test_images_print_dockers_table() -> None:
    assert list_text([image_line()], "", rows_images.columns(), rows_images.HEADERS) == (
        "REPOSITORY   TAG       IMAGE ID       CREATED      SIZE\nnginx        latest    abababababab   7 days ago   77.8MB\n"
    )
    assert image_line(truncate=False)["ID"] == "sha256:" + "ab" * 32


def test_images_by_name_show_what_containerd_calls_them_and_what_came_over_the_wire() -> None:
    head, line = list_text([image_line()], "", rows_images.columns(names=True), rows_images.HEADERS).splitlines()
    assert head.split("  ")[0] == "NAME" and line.split()[0] == "docker.io/library/nginx:latest"
    assert line.split()[-3:] == ["linux/amd64", "77.8MB", "30.1MB"]


def test_wide_images_show_digest_and_platform() -> None:
    head = list_text([image_line()], "", rows_images.columns(wide=True), rows_images.HEADERS).splitlines()[0]
    titles = ["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "PLATFORM", "SIZE", "BLOB SIZE"]
    assert [title.strip() for title in head.split("  ") if title.strip()] == titles


def test_networks_and_volumes_print_dockers_tables() -> None:
    network = NetworkRow(network_id="ab" * 32, name="bridge", driver="bridge")
    lines = [rows_networks.network_row(network, truncate=True)]
    assert list_text(lines, "", rows_networks.COLUMNS, rows_networks.HEADERS) == (
        "NETWORK ID     NAME      DRIVER    SCOPE\nabababababab   bridge    bridge    local\n"
    )
    volume = VolumeEntry(name="data", mountpoint="/m", created_at="x", labels=(("k", "v"),))
    lines = [rows_volumes.volume_row(volume)]
    assert list_text(lines, "", rows_volumes.COLUMNS, rows_volumes.HEADERS) == "DRIVER    VOLUME NAME\nlocal     data\n"
    assert list_text(lines, '{{.Label "k"}} {{.Size}}', (), rows_volumes.HEADERS) == "v N/A\n"


def test_plugins_print_a_table() -> None:
    plugin = PluginRow(kind="network", name="bridge", distribution="acme", version="1", target="a:b", state="active")
    text = list_text([rows_plugins.plugin_row(plugin)], "{{.Kind}}.{{.Name}} {{.State}}", (), rows_plugins.HEADERS)
    assert text == "network.bridge active\n"


def test_a_plan_is_told_in_words_or_as_json() -> None:
    steps = (
        PlannedStep(name="name", says="reserve the name web", provider="core/name", undo_token="web/1"),
        PlannedStep(
            name="network", says="connect eth0", provider="network/bridge", undo_token="t", needs=("name",), late=("address",)
        ),
    )
    assert plan_text(steps, "text") == (
        "  1. name: reserve the name web\n  2. network: connect eth0 (known after this step: address) [after name]"
    )
    assert json.loads(plan_text(steps, "json"))[1]["late"] == ["address"]
