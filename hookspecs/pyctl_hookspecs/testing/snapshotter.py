"""The examination of a snapshotter plug-in: subclass, say the name the daemon knows."""

from __future__ import annotations

from typing import Any

from pyctl_hookspecs.errors import NotFoundError
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.snapshotter import Snapshot, SnapshotRequest, SnapshotSpecs
from pyctl_hookspecs.testing.calling import hooks_of
from pyctl_hookspecs.testing.storage import MemorySnapshots, StorageHost

_CHAIN = "sha256:" + "1" * 64


class SnapshotterSuite:
    """Needs a fixture ``plugin``."""

    snapshotter = ""

    def request(self) -> SnapshotRequest:
        """A layer to make."""
        return SnapshotRequest(snapshotter=self.snapshotter, key="a" * 64, labels=(("suite", "1"),))

    def test_planning_changes_nothing(self, plugin: object) -> None:
        hooks = hooks_of(plugin, SnapshotSpecs)
        intent = hooks.plan_snapshot(request=self.request())
        assert isinstance(intent, Intent)
        assert intent.says and "\n" not in intent.says
        assert intent == hooks.plan_snapshot(request=self.request())

    def test_the_token_names_what_will_exist(self, plugin: object) -> None:
        token = hooks_of(plugin, SnapshotSpecs).plan_snapshot(request=self.request()).undo_token
        assert self.request().key in token

    def test_the_layer_stands_on_the_image(self, plugin: object, tmp_path: Any) -> None:
        snapshots = MemorySnapshots((_CHAIN,))
        snapshot = self._prepare(plugin, StorageHost(str(tmp_path), snapshots), _CHAIN)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.key == self.request().key and snapshot.mounts
        assert _CHAIN in snapshots.known.values()

    def test_an_empty_chain_means_nothing_below(self, plugin: object, tmp_path: Any) -> None:
        assert self._prepare(plugin, StorageHost(str(tmp_path)), "").mounts

    def test_an_image_that_is_not_unpacked_is_not_found(self, plugin: object, tmp_path: Any) -> None:
        snapshots = MemorySnapshots()
        try:
            self._prepare(plugin, StorageHost(str(tmp_path), snapshots), _CHAIN)
        except NotFoundError:
            assert not snapshots.known
        else:
            raise AssertionError("prepared a layer on a chain that does not exist")

    def test_cleanup_works_from_the_token_alone_in_another_process_and_twice(self, plugin: object, tmp_path: Any) -> None:
        snapshots, hooks = MemorySnapshots((_CHAIN,)), hooks_of(plugin, SnapshotSpecs)
        self._prepare(plugin, StorageHost(str(tmp_path), snapshots), _CHAIN)
        token = hooks.plan_snapshot(request=self.request()).undo_token
        for _ in range(2):
            hooks.cleanup(undo_token=token, host=StorageHost(str(tmp_path), snapshots))
        assert not snapshots.known

    def test_cleanup_of_what_never_happened_succeeds(self, plugin: object, tmp_path: Any) -> None:
        hooks = hooks_of(plugin, SnapshotSpecs)
        token = hooks.plan_snapshot(request=self.request()).undo_token
        hooks.cleanup(undo_token=token, host=StorageHost(str(tmp_path)))

    def _prepare(self, plugin: object, host: StorageHost, chain_id: str) -> Any:
        hooks, request = hooks_of(plugin, SnapshotSpecs), self.request()
        token = hooks.plan_snapshot(request=request).undo_token
        return hooks.prepare_snapshot(request=request, chain_id=chain_id, undo_token=token, host=host)
