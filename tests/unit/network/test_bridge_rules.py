"""What a bridge network's configuration means, and what it becomes in the table."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.state.networks import default_config
from pyctl_hookspecs import ConflictError, Host, InvalidArgumentError, NetworkRequest, PortMapping, UnsupportedError
from pyctl_hookspecs.testing.network import FakeHost
from pyctl_plugins.network import _conflist, _layout, _leftovers, _ports, _records
from pyctl_plugins.network._conflist import BridgeConfig

REQUEST = NetworkRequest(
    container_id="a" * 64, container_name="web", namespace="default", network="n", interface="eth0", netns_path="/n"
)


def _config(change: Mapping[str, Any] | None = None, *, firewall: Mapping[str, Any] | None = None, **top: Any) -> BridgeConfig:
    config = default_config("10.4.0.1/24") | top
    config["plugins"][0] |= change or {}
    config["plugins"][2] |= firewall or {}
    return _conflist.read(json.dumps(config))


def _internal() -> BridgeConfig:
    config = default_config("10.4.0.1/24")
    bridge = config["plugins"][0]
    del bridge["isGateway"], bridge["ipMasq"], bridge["ipam"]["routes"], config["plugins"][1]
    return _conflist.read(json.dumps(config))


def test_the_usual_network_is_open_inside_and_closed_to_the_outside() -> None:
    config = _config()
    assert (config.is_closed, config.is_isolated, config.is_internal, config.masquerade) == (True, False, False, True)
    assert config.gateways == ["10.4.0.1/24"]


def test_an_internal_network_still_has_the_hosts_address() -> None:
    config = _internal()
    assert (config.is_internal, config.is_closed, config.masquerade) == (True, True, False)
    assert config.gateways == ["10.4.0.1/24"]
    assert config.routes == []


def test_a_gateway_elsewhere_is_not_the_hosts() -> None:
    """The same without a gateway, but somebody else's, or with routes: its router is another machine."""
    assert _config({"isGateway": False}).gateways == []
    assert not _config({"isGateway": False}).is_internal
    assert not _config({"isGateway": False}, nerdctlID="").is_own


@pytest.mark.parametrize(
    ("policy", "is_closed", "is_isolated"), [("same-bridge", True, False), ("isolated", True, True), ("open", False, False)]
)
def test_the_firewalls_policies(policy: str, is_closed: bool, is_isolated: bool) -> None:
    config = _config(firewall={"ingressPolicy": policy})
    assert (config.is_closed, config.is_isolated) == (is_closed, is_isolated)


def test_an_option_that_is_not_carried_out_names_the_way_out() -> None:
    with pytest.raises(UnsupportedError, match="option vlan of the bridge plug-in") as caught:
        _config({"vlan": 3})
    assert "engine" in caught.value.hint


@pytest.mark.parametrize("name", ['a"b', "br*", "br{", "a\nb", "sixteen-letters-", "brücke"])
def test_a_bridges_name_cannot_be_anything(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is no name for a bridge"):
        _config({"bridge": name})


def test_containers_that_must_not_meet_are_not_let_through_their_own_bridge() -> None:
    together, apart = _layout.elements(_config()), _layout.elements(_config(firewall={"ingressPolicy": "isolated"}))
    assert 'same { "nerdctl0" . "nerdctl0" }' in together
    assert not any(line.startswith("same ") for line in apart)
    assert any(line.startswith("closed ") for line in apart)


def test_an_internal_network_is_marked_and_not_masqueraded() -> None:
    lines = _layout.elements(_internal())
    assert 'internal { "nerdctl0" }' in lines
    assert not any(line.startswith(("masq", "own")) for line in lines)


def test_many_subnets_fit_into_the_comment() -> None:
    ipam = {"type": "host-local", "ranges": [[{"subnet": f"10.{n}.0.0/24"}] for n in range(30)]}
    other = {**ipam, "ranges": ipam["ranges"][:-1]}
    one, two = _config({"ipam": ipam}), _config({"ipam": other})
    assert len(_layout.about(one)) <= 120
    assert _layout.about(one) != _layout.about(two)


def test_the_layout_is_something_nft_understands() -> None:
    script = _layout.LAYOUT + _layout.add(_layout.elements(_config()))
    try:
        done = subprocess.run(["/usr/sbin/nft", "-c", "-f", "-"], input=script, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return  # the integration tests need it
    assert "syntax error" not in done.stderr


def _host(**fields: str) -> Host:
    return SimpleNamespace(**{"namespace": "team", "data_store": "/var/lib/x/1935db59", **fields})  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("owner", "is_own"),
    [
        ("team-" + "0123456789abcdef" * 4, True),
        ("team-two-" + "0123456789abcdef" * 4, False),
        ("other-" + "0" * 64, False),
        ("team-" + "0" * 63, False),
        ("team-" + "g" * 64, False),
        ("0" * 64, False),
    ],
)
def test_a_name_belongs_to_one_namespace(owner: str, is_own: bool) -> None:
    assert _records.is_own(owner, _host()) == is_own


def test_a_tag_tells_data_stores_apart() -> None:
    assert _records.tag("n/team-x/eth0", _host()) == "n/team-x/eth0@1935db59"


def test_a_lease_whose_container_another_data_store_knows_is_not_ours(tmp_path: Any) -> None:
    owner = "team-" + "a" * 64
    host = _host(data_store=f"{tmp_path}/mine", runtime_dir=f"{tmp_path}/run")
    (tmp_path / "mine/containers/team" / ("a" * 64)).mkdir(parents=True)
    assert not _leftovers._is_known_elsewhere(owner, host)
    (tmp_path / "theirs/containers/team" / ("a" * 64)).mkdir(parents=True)
    assert _leftovers._is_known_elsewhere(owner, host)


@pytest.fixture
def keeper(tmp_path: Any) -> Any:
    host = FakeHost(str(tmp_path))
    yield host
    host.close()


def _hold(keeper: Any, families: tuple[bool, ...], *ports: PortMapping) -> tuple[PortMapping, ...]:
    return _ports.hold(REQUEST.replace(ports=ports), families, keeper)


def _web(host_ip: str, host_port: int = 0) -> PortMapping:
    return PortMapping(container_port=80, host_port=host_port, host_ip=host_ip)


def test_a_port_without_an_address_follows_the_networks_families(keeper: Any) -> None:
    (four,) = _hold(keeper, (False,), _web(""))
    assert (four.host_ip, four.host_port > 0) == ("0.0.0.0", True)
    (six,) = _hold(keeper, (True,), _web(""))
    assert six.host_ip == "::"
    one, two = _hold(keeper, (True, False), _web(""))
    assert (one.host_ip, two.host_ip, one.host_port) == ("0.0.0.0", "::", two.host_port)
    assert _hold(keeper, (True, False), one, two) == (one, two)


def test_a_pool_for_every_address_skips_what_one_family_has_taken(keeper: Any) -> None:
    import socket

    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", 0))
        other.listen()
        taken = other.getsockname()[1]
        pool = PortMapping(container_port=80, host_port=taken, host_port_end=min(taken + 20, 65535), host_ip="")
        one, two = _hold(keeper, (True, False), pool)
        assert one.host_port == two.host_port > taken
        with pytest.raises(ConflictError, match="port is already allocated"):
            _hold(keeper, (True, False), _web("", taken))


def test_where_there_is_a_choice_the_last_port_comes_first(keeper: Any) -> None:
    import socket

    def again(wish: PortMapping) -> int:
        keeper.keeper("release_ports", {"namespace": REQUEST.namespace, "container": REQUEST.container_id})
        (taken,) = _hold(keeper, (False,), wish)
        return taken.host_port

    with socket.socket() as other:
        other.bind(("127.86.4.2", 0))
        last = other.getsockname()[1]
        chosen = _web("127.86.4.2").replace(last_port=last)
        pool = chosen.replace(host_port=last - 2, host_port_end=last)
        other.listen()
        assert again(chosen) not in (0, last)
        assert again(pool) in (last - 2, last - 1)
    assert again(chosen) == again(pool) == last
    assert again(pool.replace(last_port=last + 1)) in (last - 2, last - 1, last)
