"""The examination of a mount plug-in: subclass, say your type, give a request or two."""

from __future__ import annotations

from typing import Any

from pyctl_hookspecs.errors import PyctlError
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.process_mounts import MountOutcome, MountRequest, MountSpecs
from pyctl_hookspecs.testing.calling import hooks_of
from pyctl_hookspecs.testing.storage import StorageHost


class MountSuite:
    """Needs a fixture ``plugin``. ``good`` makes a request that must work, ``bad`` one that must be refused, if there is any."""

    type = ""

    def good(self, root: str) -> MountRequest:
        """A request of this type; ``root`` is a directory for sources."""
        raise NotImplementedError

    def bad(self, root: str) -> MountRequest | None:
        """A request this plug-in must refuse while planning or doing."""
        return None

    def test_planning_changes_nothing(self, plugin: object, tmp_path: Any) -> None:
        host, request = StorageHost(str(tmp_path)), self.good(str(tmp_path))
        before = host.contents()
        intent = hooks_of(plugin, MountSpecs).plan_mount(request=request)
        assert isinstance(intent, Intent)
        assert intent.says and "\n" not in intent.says
        assert host.contents() == before

    def test_planning_again_chooses_the_same_token(self, plugin: object, tmp_path: Any) -> None:
        request, hooks = self.good(str(tmp_path)), hooks_of(plugin, MountSpecs)
        assert hooks.plan_mount(request=request).undo_token == hooks.plan_mount(request=request).undo_token

    def test_the_mount_is_where_it_was_asked_for(self, plugin: object, tmp_path: Any) -> None:
        outcome = self._do(plugin, StorageHost(str(tmp_path)), self.good(str(tmp_path)))
        assert isinstance(outcome, MountOutcome)
        assert outcome.type == self.type
        assert outcome.destination == outcome.mount.destination == self.good(str(tmp_path)).target

    def test_doing_it_twice_gives_the_same_mount(self, plugin: object, tmp_path: Any) -> None:
        host, request = StorageHost(str(tmp_path)), self.good(str(tmp_path))
        assert self._do(plugin, host, request) == self._do(plugin, host, request)

    def test_a_read_only_mount_is_read_only(self, plugin: object, tmp_path: Any) -> None:
        outcome = self._do(plugin, StorageHost(str(tmp_path)), self.good(str(tmp_path)).replace(read_only=True))
        assert not outcome.read_write
        assert {"ro", "rro"} & {*outcome.mount.options}

    def test_cleanup_works_from_the_token_alone_in_another_process_and_twice(self, plugin: object, tmp_path: Any) -> None:
        request, hooks = self.good(str(tmp_path)), hooks_of(plugin, MountSpecs)
        host = StorageHost(str(tmp_path / "host"))
        before = host.contents()
        token = hooks.plan_mount(request=request).undo_token
        self._do(plugin, host, request)
        for _ in range(2):
            hooks.cleanup(undo_token=token, host=StorageHost(str(tmp_path / "host")))
        if token:
            assert [path for path in host.contents() if path not in before and token in path] == []

    def test_cleanup_of_what_never_happened_succeeds(self, plugin: object, tmp_path: Any) -> None:
        hooks = hooks_of(plugin, MountSpecs)
        token = hooks.plan_mount(request=self.good(str(tmp_path))).undo_token
        hooks.cleanup(undo_token=token, host=StorageHost(str(tmp_path)))

    def test_a_refusal_names_the_argument(self, plugin: object, tmp_path: Any) -> None:
        request = self.bad(str(tmp_path))
        if request is None:
            return
        host = StorageHost(str(tmp_path))
        try:
            hooks_of(plugin, MountSpecs).plan_mount(request=request)
            self._do(plugin, host, request)
        except PyctlError as error:
            assert request.argument in str(error)
        else:
            raise AssertionError(f"accepted {request.argument}")

    @staticmethod
    def _do(plugin: object, host: StorageHost, request: MountRequest) -> Any:
        hooks = hooks_of(plugin, MountSpecs)
        token = hooks.plan_mount(request=request).undo_token
        return hooks.process_mounts(request=request, undo_token=token, host=host)
