"""``--network`` in its two syntaxes, what contradicts itself, and the labels it is kept in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyctl.spec.endpoints import Endpoint, endpoints_of, from_labels, parse_network, to_labels
from pyctl.spec.options import ContainerOptions
from pyctl_hookspecs import InvalidArgumentError, PyctlError, UnsupportedError

IFNAME = "com.docker.network.endpoint.ifname"


def asked(**values: Any) -> tuple[Endpoint, ...]:
    return endpoints_of(ContainerOptions(image="x", **values))


def test_without_a_network_it_is_the_default_one() -> None:
    assert asked() == (Endpoint(network="bridge"),)
    assert asked(network=("default",)) == (Endpoint(network="bridge"),)


def test_names_may_be_repeated_flags_or_have_commas_between_them() -> None:
    assert asked(network=("a,b", "c")) == tuple(Endpoint(network=name) for name in "abc")


def test_the_long_syntax_has_a_value_for_each_network() -> None:
    (found,) = parse_network(
        f"name=n,ip=10.5.0.2,ip6=fd00::2,alias=db,alias=store,mac-address=02:42:00:00:00:01,driver-opt={IFNAME}=lan0"
    )
    assert found == Endpoint(
        network="n", ip="10.5.0.2", ip6="fd00::2", mac_address="02:42:00:00:00:01", aliases=("db", "store"), interface="lan0"
    )
    assert parse_network("gw-priority=-3,name=n") == (Endpoint(network="n", gateway_priority=-3),)


def test_a_path_with_an_equals_sign_is_no_long_syntax() -> None:
    assert parse_network("ns:/run/a=b") == (Endpoint(network="ns:/run/a=b"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ip=10.5.0.2", "network name/id is not specified"),
        ("name=n,nonesuch=1", "invalid field key nonesuch"),
        ("name=n,alone", "invalid field alone"),
        ("name=n,gw-priority=high", "invalid gw-priority (high): invalid syntax"),
        ("name=n,driver-opt=alone", "invalid key value pair format in driver options"),
        (f"name=n,driver-opt={IFNAME}=far/too", "invalid interface name: far/too"),
        ("a,,b", "network name/id is not specified"),
    ],
)
def test_a_malformed_network_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_network(text)
    assert str(caught.value) == words and caught.value.exit_code == 125


@pytest.mark.parametrize("text", ["name=n,link-local-ip=169.254.1.1", "name=n,driver-opt=com.example.speed=9"])
def test_what_would_have_no_effect_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedError):
        parse_network(text)


def test_the_flags_of_a_single_network_go_to_the_first() -> None:
    first, second = asked(
        network=("a", "name=b,ip=10.6.0.2"), ip="10.5.0.2", mac_address="02:42:00:00:00:01", network_alias=("x",)
    )
    assert first == Endpoint(network="a", ip="10.5.0.2", mac_address="02:42:00:00:00:01", aliases=("x",))
    assert second == Endpoint(network="b", ip="10.6.0.2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": ("n", "n")}, 'network "n" is specified multiple times'),
        ({"network": ("default", "bridge")}, 'network "bridge" is specified multiple times'),
        ({"network": ("host", "n")}, "conflicting options: cannot attach both user-defined and non-user-defined network-modes"),
        ({"network": ("none", "bridge")}, "conflicting options: cannot attach both user-defined and non-user-defined"),
        ({"network": ("container:a", "container:b")}, "conflicting options: only one network can be given"),
        ({"network": ("name=n,ip=10.5.0.2",), "ip": "10.5.0.3"}, "cannot specify both --ip and per-network IPv4 address"),
        ({"network": ("name=n,alias=a",), "network_alias": ("b",)}, "cannot specify both --network-alias and per-network alias"),
        ({"network": ("none",), "ip": "10.5.0.3"}, "user specified IP address is supported on user defined networks only"),
        ({"network_alias": ("db",)}, "network-scoped aliases are only supported for user-defined networks"),
        ({"network": ("host",), "network_alias": ("db",)}, "network-scoped aliases are only supported for user-defined networks"),
        ({"network": ("n",), "network_alias": ("d b",)}, "invalid network alias: 'd b'"),
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PyctlError) as caught:
        asked(**options)
    assert words in str(caught.value) and caught.value.exit_code == 125


def test_the_default_network_goes_with_others() -> None:
    assert [endpoint.network for endpoint in asked(network=("bridge", "n"))] == ["bridge", "n"]


def test_labels_are_those_of_nerdctl_and_one_of_ours_for_the_rest() -> None:
    endpoints = asked(network=("name=a,ip=10.5.0.2,alias=x", "name=b,ip=10.6.0.2,gw-priority=1", "c"))
    labels = to_labels(endpoints)
    assert (labels["nerdctl/networks"], labels["nerdctl/ip"]) == ('["a","b","c"]', "10.5.0.2")
    assert json.loads(labels["pyctl/endpoints"]) == {"a": {"aliases": ["x"]}, "b": {"ip": "10.6.0.2", "gateway_priority": 1}}
    assert from_labels(labels) == endpoints


def test_a_plain_network_costs_no_label_of_ours() -> None:
    assert to_labels(asked()) == {"nerdctl/networks": '["bridge"]'}


def test_a_container_disconnected_from_all_has_no_networks() -> None:
    assert from_labels(to_labels(())) == ()


def test_a_container_that_says_nothing_has_none() -> None:
    assert from_labels({}) == (Endpoint(network="none"),)
