"""A chain of CNI plug-ins carried out: ADD forwards, DEL backwards, CHECK, STATUS and GC, as the specification has it."""

from __future__ import annotations

from pyctl_hookspecs import PyctlError, UnsupportedError
from pyctl_plugins.network import _cni_config, _cni_exec, _cni_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from pyctl_hookspecs import Host
    from pyctl_plugins.network._cni_cache import Cached
    from pyctl_plugins.network._cni_config import Chain
    from pyctl_plugins.network._cni_lock import Turn


_SHARED = ("portmap", "firewall")  # they look whether a rule of all containers is there, then write it: one at a time


class Runner:
    """Carries out one list with the binaries and the locks of ``host``."""

    def __init__(self, chain: Chain, host: Host, turn: Turn, *, lenient: bool = False, more: Sequence[str] = ()) -> None:
        """``turn`` is held until the runner is no longer used. Every binary is looked up before the first runs; with
        ``lenient`` only when it is called. ``more`` are directories to search after the host's.

        Raises:
            NotFoundError: a binary is missing.
        """
        self.chain = chain
        self._host, self._turn = host, turn
        self._directories = (*host.cni_paths, *(one for one in more if one not in host.cni_paths))
        self._binaries = {} if lenient else _cni_config.find_binaries(chain, self._directories)
        self._versions: dict[str, tuple[str, ...]] = {}

    def settle(self) -> None:
        """Choose the version: the best of the list's that every plug-in knows. With one to choose from nobody is asked,
        unless it is 1.1 or later, whose commands an older plug-in would misunderstand.

        Raises:
            UnsupportedError: there is none.
        """
        if len(self.chain.versions) > 1 or self.chain.is_at_least("1.1.0"):
            for version in self.chain.versions:
                strangers = [kind for kind in self.chain.kinds if version not in self._known(kind)]
                if not strangers:
                    break
            else:
                kind = strangers[0]
                raise UnsupportedError(
                    f"network {self.chain.name} needs version {version} of CNI; "
                    f"plug-in {kind} knows {', '.join(self._known(kind)) or 'none'}"
                )
        else:
            version = self.chain.version
        self.chain = self.chain.settled(version)

    def add(self, cached: Cached, keep: Callable[[Cached], None]) -> Cached:
        """Connect; the attachment with the last plug-in's result. After a failure what was done stays: ``delete`` undoes it.

        ``keep`` gets it whenever it says more: should we be killed, firewall removes the rules of those addresses alone that
        it is told.

        Raises:
            PluginFailedError: a plug-in's own message.
            PyctlError: one was interrupted, or did not answer in time.
        """
        for position, plugin in enumerate(self.chain.plugins):
            more = {"prevResult": cached.result} if cached.result else {}
            try:
                result = self._run(plugin, "ADD", cached, more, may_cancel=True)
            except _cni_exec.PluginFailedError:
                keep(cached.replace(refused=position))
                raise
            if not result:
                raise PyctlError(f"plug-in {plugin['type']}: no result")
            if result != cached.result:
                cached = cached.replace(result=result)
                keep(cached)
        return cached

    def add_one(self, position: int, cached: Cached) -> None:
        """Let one plug-in of the chain do its part again, on what all of them did before."""
        self._run(self.chain.plugins[position], "ADD", cached, {"prevResult": cached.result}, may_cancel=True)

    def check(self, cached: Cached) -> list[tuple[int, PyctlError]]:
        """What is wrong with a connection: (position in the chain, the plug-in's words). Empty where CHECK is not allowed."""
        if not self.chain.may_check or not self.chain.is_at_least("0.4.0") or not cached.result:
            return []
        wrong: list[tuple[int, PyctlError]] = []
        for position, plugin in enumerate(self.chain.plugins):
            try:
                self._run(plugin, "CHECK", cached, {"prevResult": cached.result}, may_cancel=True)
            except _cni_exec.PluginFailedError as error:
                wrong.append((position, error))
        return wrong

    def delete(self, cached: Cached, netns: str) -> bool:
        """Disconnect, last plug-in first; was all of it still there? Every plug-in is called whatever became of the
        others, and a second time if it refuses: some stumble over rules that somebody else took away. Again is fine.

        ``netns`` is empty when the namespace is gone.

        Raises:
            PyctlError: the first failure, once all have been called.
        """
        errors: list[PyctlError] = []
        was_whole = True
        for position in reversed(range(len(self.chain.plugins))):
            try:
                try:
                    self.delete_one(position, cached, netns)
                except _cni_exec.PluginFailedError:
                    was_whole = False
                    self.delete_one(position, cached, netns)
            except PyctlError as error:
                if not 0 <= cached.refused <= position:
                    errors.append(error)
        if errors:
            raise errors[0]
        return was_whole

    def delete_one(self, position: int, cached: Cached, netns: str) -> None:
        """Let one plug-in undo its part."""
        knows_result = cached.result and self.chain.is_at_least("0.4.0")
        more = {"prevResult": cached.result} if knows_result else {}
        self._run(self.chain.plugins[position], "DEL", cached.replace(netns=netns), more)

    def status(self) -> None:
        """Is every plug-in ready to connect? Asked only where the list's version has the question.

        Raises:
            PyctlError: not, in the plug-in's words.
        """
        if self.chain.is_at_least("1.1.0"):
            for plugin in self.chain.plugins:
                self._run(plugin, "STATUS", None, {}, may_cancel=True)

    def collect(self, valid: Sequence[tuple[str, str]]) -> None:
        """Have the plug-ins give back what belongs to none of these (owner, interface) pairs, where they know how.

        Raises:
            PyctlError: the first failure, once all have been called.
        """
        if not self.chain.may_collect or not self.chain.is_at_least("1.1.0"):
            return
        attachments = [{"containerID": owner, "ifname": interface} for owner, interface in valid]
        # The second name is what libcni before 1.2.1 used.
        more = {"cni.dev/valid-attachments": attachments, "cni.dev/attachments": attachments}
        errors: list[PyctlError] = []
        for plugin in self.chain.plugins:
            try:
                self._run(plugin, "GC", None, more)
            except PyctlError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _known(self, kind: str) -> tuple[str, ...]:
        if kind not in self._versions:
            config = {"cniVersion": self.chain.version}
            variables = {"CNI_PATH": ":".join(self._directories)}
            answer = _cni_exec.run(self._binary(kind), "VERSION", config, variables, is_cancelled=self._host.cancelled)
            self._versions[kind] = tuple(str(one) for one in answer.get("supportedVersions") or ())
        return self._versions[kind]

    def _run(
        self,
        plugin: Mapping[str, Any],
        command: str,
        cached: Cached | None,
        more: Mapping[str, Any],
        *,
        may_cancel: bool = False,
    ) -> dict[str, Any]:
        config = {**plugin, "name": self.chain.name, "cniVersion": self.chain.version, **more}
        variables = {"CNI_PATH": ":".join(self._directories)}
        if cached is not None:
            declared = plugin.get("capabilities") or {}
            given = {key: value for key, value in cached.capabilities.items() if declared.get(key) is True}
            if given:
                config["runtimeConfig"] = given
            variables |= {
                "CNI_CONTAINERID": cached.owner,
                "CNI_NETNS": cached.netns,
                "CNI_IFNAME": cached.interface,
                "CNI_ARGS": ";".join(f"{key}={value}" for key, value in cached.arguments),
            }
        cancelled = self._host.cancelled if may_cancel else _cni_exec.never
        binary = self._binary(plugin["type"])
        inherited = (self._turn.fd,)
        if command == "ADD" and plugin["type"] in _SHARED:
            with _cni_lock.Rules(self._host.runtime_dir):
                return _cni_exec.run(binary, command, config, variables, is_cancelled=cancelled, inherited=inherited)
        return _cni_exec.run(binary, command, config, variables, is_cancelled=cancelled, inherited=inherited)

    def _binary(self, kind: str) -> str:
        if kind not in self._binaries:
            self._binaries[kind] = _cni_config.find_binary(self.chain.name, kind, self._directories)
        return self._binaries[kind]
