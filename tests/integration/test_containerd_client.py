"""The containerd client against real daemons: every service, both versions, nothing left open."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator

import pytest
from tests.integration.engines import Engine

from pyctl.containerd.client import Client
from pyctl.containerd.errors import AlreadyExistsError
from pyctl.containerd.records import Container, Event, Image, LeaseResource
from pyctl.containerd.tasks import runc_options
from pyctl_hookspecs import Descriptor, NotFoundError, OciMount, PullProgress, UnsupportedError
from pyctl_hookspecs.errors import ConflictError, PyctlError

pytestmark = pytest.mark.integration

SNAPSHOTTER = "overlayfs"
NAMESPACES = [{"type": kind} for kind in ("pid", "mount", "network", "ipc", "uts")]


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with Client(engine.address, engine.namespace) as connected:
        yield connected


@pytest.fixture
def leased(client: Client, name: str) -> Iterator[Client]:
    """Everything a test makes is under this lease; what it leaves goes with it."""
    lease_id = f"test-{name}"
    client.leases.create(lease_id, {"purpose": "test"})
    with client.with_lease(lease_id) as under_lease:
        yield under_lease
    client.leases.delete(lease_id, sync=True)


@pytest.fixture
def container(leased: Client, busybox: str, name: str) -> Iterator[tuple[Container, tuple[OciMount, ...]]]:
    """A stored container of the busybox image that exits with 7 after it has read its stdin; and its mounts."""
    mounts = leased.snapshots.prepare(SNAPSHOTTER, name, top_chain_id(leased, busybox))
    spec = {
        "ociVersion": "1.0.2",
        "process": {
            "args": ["sh", "-c", "cat; exit 7"],
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0},
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"cgroupsPath": f"/{leased.namespace}/{name}", "namespaces": NAMESPACES},
    }
    stored = leased.containers.create(
        Container(
            container_id=name,
            labels={"nerdctl/name": f"named-{name}"},
            image=busybox,
            runtime_name="io.containerd.runc.v2",
            runtime_options=runc_options(),
            spec_json=json.dumps(spec).encode(),
            snapshotter=SNAPSHOTTER,
            snapshot_key=name,
        )
    )
    yield stored, mounts
    _end_task(leased, name)
    leased.snapshots.remove(SNAPSHOTTER, name)
    leased.containers.delete(name)


def _end_task(client: Client, container_id: str) -> None:
    """For a test that failed half-way; one that passed has deleted its task."""
    try:
        waiting = client.tasks.wait(container_id)
        client.tasks.kill(container_id, 9)
        waiting.result(30)
        client.tasks.delete(container_id)
    except NotFoundError:
        pass


class Stdio:
    """A stdin FIFO whose writing end is ours, and a file for the output."""

    def __init__(self, base: str) -> None:
        self.stdin, self.output = f"{base}.in", f"{base}.out"
        os.mkfifo(self.stdin)
        with open(self.output, "w"):
            pass
        self._writing_end = os.open(self.stdin, os.O_RDWR)

    @property
    def paths(self) -> dict[str, str]:
        return {"stdin": self.stdin, "stdout": self.output, "stderr": self.output}

    def type(self, text: bytes) -> None:
        os.write(self._writing_end, text)

    def close(self) -> None:
        if self._writing_end >= 0:
            os.close(self._writing_end)
        self._writing_end = -1


@pytest.fixture
def stdio(workshop: str, name: str) -> Iterator[Stdio]:
    """Stays open while the test runs, or until it closes it."""
    both = Stdio(f"{workshop}/{name}")
    yield both
    both.close()
    os.unlink(both.stdin)
    os.unlink(both.output)


def layers_of(client: Client, image: str) -> list[tuple[Descriptor, str]]:
    """Layer blobs of an index with one image, bottom first, each with its diff ID."""
    index = json.loads(client.content.read(client.images.get(image).target.digest))
    manifest = json.loads(client.content.read(index["manifests"][0]["digest"]))
    config = json.loads(client.content.read(manifest["config"]["digest"]))
    blobs = [
        Descriptor(media_type=layer["mediaType"], digest=layer["digest"], size_bytes=layer["size"])
        for layer in manifest["layers"]
    ]
    return list(zip(blobs, config["rootfs"]["diff_ids"], strict=True))


def top_chain_id(client: Client, image: str) -> str:
    chain = ""
    for _, diff_id in layers_of(client, image):
        chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest() if chain else diff_id
    return chain


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_the_daemon_says_who_it_is(client: Client, engine: Engine) -> None:
    version, _ = client.version()
    snapshotters = {plugin.plugin_id: plugin for plugin in client.plugins(["type==io.containerd.snapshotter.v1"])}

    assert version.startswith("1.6." if engine.version == "1.6" else "2.")
    assert len(client.server_uuid()) == 36
    assert snapshotters[SNAPSHOTTER].init_error == ""
    assert all(plugin.type == "io.containerd.snapshotter.v1" for plugin in snapshotters.values())


def test_a_namespace_is_made_once_and_removed(client: Client) -> None:
    client.namespaces.ensure("client-test")
    client.namespaces.ensure("client-test")
    assert "client-test" in client.namespaces.list()
    client.namespaces.delete("client-test")

    assert "client-test" not in client.namespaces.list()
    with pytest.raises(NotFoundError):
        client.namespaces.delete("client-test")


def test_content_is_written_resumed_read_and_labelled(leased: Client) -> None:
    data = os.urandom(3 * 1024 * 1024 + 5)
    digest = digest_of(data)
    with leased.content.writer("resumed", digest=digest, size_bytes=len(data)) as writer:
        writer.write(data[:2_000_000])
    assert leased.content.ingest_status("resumed").offset_bytes == 2_000_000
    with leased.content.writer("resumed", digest=digest, size_bytes=len(data)) as writer:
        assert writer.offset_bytes == 2_000_000
        writer.write(data[2_000_000:])
        writer.commit({"a": "1", "b": "2"})
    leased.content.update_labels(digest, {"b": "", "c": "3"})

    assert leased.content.read(digest) == data
    assert b"".join(leased.content.read_chunks(digest, offset_bytes=10, size_bytes=20)) == data[10:30]
    assert leased.content.info(digest).labels == {"a": "1", "c": "3"}
    assert [info.digest for info in leased.content.list(["labels.c==3"])] == [digest]
    assert leased.leases.resources(leased.lease_id) == (LeaseResource(type="content", resource_id=digest),)
    assert leased.content.ingests() == ()


def test_content_may_be_begun_again(leased: Client) -> None:
    with leased.content.writer("again", digest=digest_of(b"right"), size_bytes=5) as writer:
        writer.write(b"wro")
        writer.truncate()
        writer.write(b"right")
        writer.commit()

    assert leased.content.size_bytes(digest_of(b"right")) == 5


def test_wrong_content_is_refused_and_forgotten(leased: Client) -> None:
    with leased.content.writer("wrong", digest=digest_of(b"right"), size_bytes=5) as writer:
        writer.write(b"wrong")
        with pytest.raises(ConflictError):
            writer.commit()

    assert leased.content.ingests() == ()
    assert leased.content.size_bytes(digest_of(b"right")) is None


def test_two_writers_of_one_blob_wait_for_each_other(leased: Client) -> None:
    data = b"shared" * 100
    seen: list[bool] = []

    def second() -> None:
        with leased.content.writer("shared", digest=digest_of(data), size_bytes=len(data)) as writer:
            seen.append(writer.exists)
            writer.commit({"second": "yes"})

    with leased.content.writer("shared", digest=digest_of(data), size_bytes=len(data)) as first:
        other = threading.Thread(target=second)
        other.start()
        first.write(data)
        first.commit({"first": "yes"})
        other.join(30)

    assert seen == [True]
    assert leased.content.info(digest_of(data)).labels == {"first": "yes", "second": "yes"}


def test_an_image_is_named_moved_and_removed(leased: Client) -> None:
    target = Descriptor(media_type="application/vnd.oci.image.manifest.v1+json", digest=digest_of(b"{}"), size_bytes=2)
    with leased.content.writer("manifest", digest=target.digest, size_bytes=2) as writer:
        writer.write(b"{}")
        writer.commit()
    image = Image(name="example.com/a:b", target=target, labels={"x": "y"})
    created = leased.images.create(image)
    with pytest.raises(AlreadyExistsError):
        leased.images.create(image)
    moved = leased.images.update(image.replace(labels={"x": "z"}), ("labels",))

    assert created.target == target
    assert created.created_at.endswith("Z")
    assert moved.labels == {"x": "z"}
    assert [found.name for found in leased.images.list([f"target.digest=={target.digest}"])] == [image.name]
    leased.images.delete(image.name, sync=True)
    with pytest.raises(NotFoundError) as caught:
        leased.images.get(image.name)
    assert caught.value.ref == image.name


def test_a_layer_is_unpacked_committed_and_compared(leased: Client, busybox: str) -> None:
    layer, diff_id = layers_of(leased, busybox)[0]
    mounts = leased.snapshots.prepare(SNAPSHOTTER, "unpack", "", {"l": "1"})
    with pytest.raises(AlreadyExistsError):
        leased.snapshots.prepare(SNAPSHOTTER, "unpack")
    applied = leased.diff.apply(layer, mounts)
    leased.snapshots.commit(SNAPSHOTTER, "unpacked", "unpack")
    upper = leased.snapshots.prepare(SNAPSHOTTER, "upper", "unpacked")
    lower = leased.snapshots.view(SNAPSHOTTER, "lower", "unpacked")
    written = leased.diff.diff(lower, upper)

    assert applied.digest == diff_id
    assert leased.snapshots.stat(SNAPSHOTTER, "unpacked").kind == "committed"
    assert leased.snapshots.stat(SNAPSHOTTER, "upper").parent == "unpacked"
    assert leased.snapshots.mounts(SNAPSHOTTER, "upper") == upper
    assert leased.snapshots.usage(SNAPSHOTTER, "unpacked").size_bytes > 1_000_000
    assert {"unpacked", "upper", "lower"} <= {info.name for info in leased.snapshots.list(SNAPSHOTTER)}
    assert leased.content.size_bytes(written.digest) == written.size_bytes
    with pytest.raises(ConflictError):
        leased.snapshots.remove(SNAPSHOTTER, "unpacked")
    for key in ("lower", "upper", "unpacked"):
        leased.snapshots.remove(SNAPSHOTTER, key)


def test_a_container_is_found_and_changed(client: Client, container: tuple[Container, object], name: str) -> None:
    stored, _ = container
    changed = client.containers.update(stored.replace(labels={"org.example/x.y": "1"}), ("labels.org.example/x.y",))
    without = client.containers.update(stored.replace(labels={}), ("labels.org.example/x.y",))

    assert client.containers.get(name).spec_json == stored.spec_json
    assert [found.container_id for found in client.containers.find(f"named-{name}")] == [name]
    assert [found.container_id for found in client.containers.find(name[:8])] == [name]
    assert client.containers.find("named") == ()
    assert changed.labels == {**stored.labels, "org.example/x.y": "1"}
    assert without.labels == stored.labels
    with pytest.raises(AlreadyExistsError):
        client.containers.create(stored)


def test_a_task_runs_executes_and_ends(
    client: Client, leased: Client, container: tuple[Container, tuple[OciMount, ...]], name: str, stdio: Stdio
) -> None:
    subscription = client.events.subscribe([f'namespace=={client.namespace},topic~="^/tasks/"'])
    heard: list[Event] = []
    exited = threading.Event()

    def listen() -> None:
        for event in subscription:
            heard.append(event)
            if event.topic == "/tasks/exit" and not event.exec_id:  # 2.x may lose /tasks/delete with the shim
                exited.set()

    listener = threading.Thread(target=listen)
    listener.start()

    pid = leased.tasks.create(name, rootfs=container[1], **stdio.paths)
    waiting = client.tasks.wait(name)
    assert client.tasks.get(name).status == "created"
    assert client.tasks.start(name) == pid
    assert [(task.container_id, task.pid, task.status) for task in client.tasks.list()] == [(name, pid, "running")]

    process = json.dumps({"args": ["sh", "-c", "exit 3"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}})
    client.tasks.exec(name, "e1", process.encode())
    exec_waiting = client.tasks.wait(name, "e1")
    exec_pid = client.tasks.start(name, "e1")
    assert exec_waiting.result(30).code == 3
    ended = client.tasks.delete_process(name, "e1")
    assert (ended.code, ended.pid) == (3, exec_pid)
    client.tasks.exec(name, "e2", process.replace('"sh"', '"no-such-program"').encode())
    with pytest.raises(PyctlError, match="no-such-program"):
        client.tasks.start(name, "e2")
    client.tasks.delete_process(name, "e2")

    assert pid in [process.pid for process in client.tasks.pids(name)]
    (metrics,) = client.tasks.metrics([name])
    assert metrics.container_id == name
    assert metrics.memory_bytes > 0
    client.tasks.pause(name)
    assert client.tasks.get(name).status == "paused"
    client.tasks.resume(name)
    client.tasks.update(name, json.dumps({"pids": {"limit": 50}}).encode())
    assert client.tasks.metrics([name])[0].pids_limit == 50
    with pytest.raises(TimeoutError):
        waiting.result(0)
    with pytest.raises(PyctlError):
        client.tasks.delete(name)

    stdio.type(b"typed\n")
    stdio.close()
    client.tasks.close_io(name)
    assert waiting.result(30).code == 7
    assert client.tasks.get(name).exit_status == 7
    with pytest.raises(NotFoundError):
        client.tasks.kill(name, 9)
    assert client.tasks.delete(name).code == 7
    with open(stdio.output) as output:
        assert output.read() == "typed\n"
    with pytest.raises(NotFoundError):
        client.tasks.get(name)

    assert exited.wait(30)
    subscription.cancel()
    listener.join(30)
    exits = [(event.exec_id, event.exit_status) for event in heard if event.topic == "/tasks/exit"]
    assert ("e1", 3) in exits
    assert ("", 7) in exits
    assert all(event.object_id == name for event in heard)


def test_a_signal_ends_a_task(
    client: Client, leased: Client, container: tuple[Container, tuple[OciMount, ...]], name: str, stdio: Stdio
) -> None:
    leased.tasks.create(name, rootfs=container[1], **stdio.paths)
    waiting = client.tasks.wait(name)
    client.tasks.start(name)
    client.tasks.kill(name, 9)

    assert waiting.result(30).code == 137
    client.tasks.delete(name)


def test_a_task_that_cannot_be_made_says_why(
    leased: Client, container: tuple[Container, tuple[OciMount, ...]], name: str
) -> None:
    stored, mounts = container
    broken = stored.replace(spec_json=stored.spec_json.replace(b'"sh"', b'"no-such-program"'))
    leased.containers.update(broken, ("spec",))

    with pytest.raises(PyctlError, match="no-such-program"):
        leased.tasks.create(name, rootfs=mounts)


def test_containerd_pulls_by_itself_where_it_can(leased: Client, busybox_ref: str, engine: Engine) -> None:
    told: list[PullProgress] = []
    other = f"{busybox_ref.rpartition(':')[0]}:latest"
    if engine.version == "1.6":
        with pytest.raises(UnsupportedError):
            leased.transfer(other, platforms=("linux/amd64",), snapshotter=SNAPSHOTTER, progress=told.append)
        return
    existed = bool(leased.images.list([f"name=={other}"]))
    leased.transfer(
        other,
        platforms=("linux/amd64",),
        snapshotter=SNAPSHOTTER,
        plain_http=True,
        credentials=lambda host: ("", ""),
        progress=told.append,
    )

    assert leased.images.get(other).target.size_bytes > 0
    assert leased.snapshots.stat(SNAPSHOTTER, top_chain_id(leased, other)).kind == "committed"
    assert all(told_of.digest.startswith("sha256:") for told_of in told)
    if not existed:
        leased.images.delete(other, sync=True)


def test_a_missing_image_is_not_found_by_the_daemon_either(leased: Client, registry: object, engine: Engine) -> None:
    if engine.version == "1.6":
        return
    host = registry.host  # type: ignore[attr-defined]

    with pytest.raises(NotFoundError):
        leased.transfer(f"{host}/library/absent:latest", platforms=("linux/amd64",), plain_http=True, progress=lambda _: None)


def test_leases_are_listed_until_deleted(client: Client) -> None:
    client.leases.create("listed", {"owner": "1"})
    with pytest.raises(AlreadyExistsError):
        client.leases.create("listed")
    assert [lease.labels for lease in client.leases.list(["id==listed"])] == [{"owner": "1"}]
    client.leases.delete("listed", sync=True)

    assert client.leases.list(["id==listed"]) == ()
    with pytest.raises(NotFoundError):
        client.leases.delete("listed")


def test_many_threads_share_one_client_and_nothing_outlives_it(engine: Engine) -> None:
    before = _open_here()
    failures: list[BaseException] = []
    client = Client(engine.address, engine.namespace)
    client.leases.create("threads")  # or a collection that somebody else's lease sets off takes the blobs
    leased = client.with_lease("threads")

    def ask(number: int) -> None:
        data = b"thread %d" % number
        try:
            for _ in range(5):
                client.version()
                client.containers.list()
            with leased.content.writer(f"thread-{number}", digest=digest_of(data), size_bytes=len(data)) as writer:
                writer.write(data)
                writer.commit()
        except PyctlError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    client.leases.delete("threads", sync=True)
    leased.close()
    subscription = client.events.subscribe()
    waiting = client.tasks.wait("no-such-task")
    with pytest.raises(NotFoundError):
        waiting.result(30)
    client.close()
    with pytest.raises((StopIteration, PyctlError)):
        next(subscription)

    assert failures == []
    left = _open_here()
    for _ in range(200):  # threads end a moment after they are joined, grpcio's own after the channel is closed
        if left == before:
            break
        threading.Event().wait(0.05)
        left = _open_here()
    assert left == before


def _open_here() -> tuple[int, set[str]]:
    """How many threads this process has, and which sockets and pipes it holds."""
    held = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue  # the directory's own descriptor
        if target.startswith(("socket:", "pipe:", "anon_inode:")):
            held.add(f"{number} {target}")
    return len(os.listdir("/proc/self/task")), held
