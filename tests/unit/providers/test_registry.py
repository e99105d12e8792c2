"""Who answers to a kind and a name: outsiders, rivals, configuration, and what is said when nobody does."""

from __future__ import annotations

import importlib.metadata
import threading
import types

import pytest

from pyctl.providers.hooks import Hooks, manager_for
from pyctl.providers.registry import Registry
from pyctl.providers.scan import OURS, Claim, installed, version_of
from pyctl_hookspecs import Intent, hookimpl
from pyctl_hookspecs.errors import NotFoundError, PyctlError
from pyctl_hookspecs.setup_network import NetworkIntent, NetworkRequest

BUILT_IN = Claim("network", "bridge", "ours", OURS, "1")
ACME = Claim("network", "bridge", "acme", "acme-net", "2")
RIVAL = Claim("network", "bridge", "rival", "rival-net", "3")


def registry(
    *claims: Claim, chosen: dict[str, str] | None = None, disabled: frozenset[str] = frozenset(), off: bool = False
) -> Registry:
    return Registry(lambda: claims, chosen=chosen or {}, disabled=disabled, builtins_only=off)


def test_the_built_in_answers_when_nobody_else_does() -> None:
    assert registry(BUILT_IN).select("network", "bridge") is BUILT_IN


def test_one_outsider_replaces_the_built_in() -> None:
    assert registry(BUILT_IN, ACME).select("network", "bridge") is ACME


def test_two_outsiders_are_both_named_with_the_line_that_settles_it() -> None:
    with pytest.raises(PyctlError) as caught:
        registry(BUILT_IN, ACME, RIVAL).select("network", "bridge")
    assert "acme-net and rival-net" in str(caught.value)
    assert caught.value.hint == 'settle it with [plugins] network.bridge = "acme-net"'


@pytest.mark.parametrize("wanted", [ACME, RIVAL, BUILT_IN])
def test_the_configuration_settles_it(wanted: Claim) -> None:
    chosen = {"network.bridge": wanted.distribution}
    assert registry(BUILT_IN, ACME, RIVAL, chosen=chosen).select("network", "bridge") is wanted


def test_switching_plug_ins_off_leads_back_to_the_built_ins() -> None:
    assert registry(BUILT_IN, ACME, off=True).select("network", "bridge") is BUILT_IN
    assert registry(BUILT_IN, ACME, disabled=frozenset({"acme-net"})).select("network", "bridge") is BUILT_IN


def test_a_name_nobody_claims_lists_those_that_are() -> None:
    with pytest.raises(NotFoundError, match="no network plug-in named wires") as caught:
        registry(BUILT_IN).select("network", "wires")
    assert caught.value.hint == "installed: bridge"


def test_the_scan_finds_what_importlib_metadata_finds() -> None:
    oracle = {
        (point.group.removeprefix("pyctl."), point.name, point.value)
        for distribution in importlib.metadata.distributions()
        for point in distribution.entry_points
        if point.group.startswith("pyctl.")
    }
    assert {(claim.kind, claim.name, claim.target) for claim in installed()} == oracle
    assert any(claim.distribution == OURS for claim in installed())


def _hooks(monkeypatch: pytest.MonkeyPatch, **functions: object) -> Hooks:
    """Hooks whose only network plug-in is a module with these functions."""
    import sys

    module = types.ModuleType("acme")
    for name, value in functions.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "acme", module)
    return Hooks(registry(BUILT_IN, ACME))


REQUEST = NetworkRequest(container_id="c", container_name="n", namespace="d", network="x", interface="eth0", netns_path="/p")


def test_a_plug_in_that_returns_the_wrong_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def plan_network(request: NetworkRequest) -> str:
        return "hello"

    with pytest.raises(PyctlError, match="plan_network: acme-net 2 returned str, not NetworkIntent"):
        _hooks(monkeypatch, plan_network=plan_network).plan_network("bridge", REQUEST, None)  # type: ignore[arg-type]


def test_a_plug_in_that_crashes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def plan_network(request: NetworkRequest) -> NetworkIntent:
        raise KeyError("oops")

    with pytest.raises(PyctlError, match=r"plan_network: acme-net 2 crashed: KeyError\('oops'\)"):
        _hooks(monkeypatch, plan_network=plan_network).plan_network("bridge", REQUEST, None)  # type: ignore[arg-type]


def test_a_misspelt_hook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def plan_netwrok(request: NetworkRequest) -> Intent:
        return Intent(says="")

    with pytest.raises(PyctlError, match="acme-net 2 is not a network plug-in"):
        _hooks(monkeypatch, plan_netwrok=plan_netwrok).plan_network("bridge", REQUEST, None)  # type: ignore[arg-type]


def test_a_plug_in_that_does_not_import_is_named() -> None:
    broken = Claim("network", "bridge", "there_is_no_such_module", "acme-net", "2")
    with pytest.raises(PyctlError, match="network bridge: acme-net 2 did not load"):
        manager_for(broken)


def test_any_snapshotter_nobody_claims_is_passed_through() -> None:
    hooks = Hooks(registry(Claim("snapshotter", "overlayfs", "x", OURS, "1")))
    assert hooks.snapshotter_provider("overlayfs") == "overlayfs"
    assert hooks.snapshotter_provider("zfs") == "passthrough"


def test_versions_are_what_importlib_says() -> None:
    for distribution in ("pluggy", "pytest", "pyctl-containerd"):
        assert version_of(distribution) == importlib.metadata.version(distribution)
    assert version_of("nobody-has-this") == ""


def test_threads_that_come_at_once_share_one_look_and_one_plug_in() -> None:
    looks = 0
    begin = threading.Barrier(4)

    def look() -> list[Claim]:
        nonlocal looks
        looks += 1
        return [Claim("network", "bridge", "pyctl_plugins.network.bridge", OURS, "1")]

    hooks = Hooks(Registry(look, chosen={}))
    found: list[object] = []

    def come() -> None:
        begin.wait(30)
        found.append(hooks.provider("network", "bridge")[1])

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert looks == 1
    assert len(found) == 4 and len({id(one) for one in found}) == 1
