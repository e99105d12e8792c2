"""Published ports in Docker's grammar."""

from __future__ import annotations

import pytest

from pyctl.spec import ports
from pyctl_hookspecs import InvalidArgumentError, PortMapping


def _port(container: int, host: int = 0, protocol: str = "tcp", host_ip: str = "", end: int = 0) -> PortMapping:
    return PortMapping(container_port=container, host_port=host, protocol=protocol, host_ip=host_ip, host_port_end=end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", [_port(80)]),
        ("8080:80", [_port(80, 8080)]),
        (":80", [_port(80)]),
        ("127.0.0.1:8080:80/UDP", [_port(80, 8080, "udp", "127.0.0.1")]),
        ("127.0.0.1::80", [_port(80, host_ip="127.0.0.1")]),
        ("[::1]:8080:80", [_port(80, 8080, host_ip="::1")]),
        ("8000-8001:80-81", [_port(80, 8000), _port(81, 8001)]),
        ("80-81", [_port(80), _port(81)]),
        ("8000-8010:80", [_port(80, 8000, end=8010)]),
        ("published=8080,target=80,protocol=udp", [_port(80, 8080, "udp")]),
    ],
)
def test_docker_publish_grammar(text: str, expected: list[PortMapping]) -> None:
    assert list(ports.parse_publish(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "invalid containerPort: abc"),
        ("80:abc", "invalid containerPort: abc"),
        ("abc:80", "invalid hostPort: abc"),
        ("8080:", "No port specified: 8080:<empty>"),
        ("99999:80", "invalid hostPort: 99999"),
        ("80:0", "invalid containerPort: 0"),
        ("81-80", "invalid containerPort: 81-80"),
        ("300.1.1.1:80:80", "Invalid ip address: 300.1.1.1"),
        ("[::1:80:80", r"Invalid ip address: \[::1"),
        ("8000-8002:80-81", "Invalid ranges specified for container and host Ports: 80-81 and 8000-8002"),
        ("80/icmp", "invalid proto: icmp"),
        ("target=80,host=1", "invalid field key: host"),
    ],
)
def test_bad_input_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        ports.parse_publish(text)


def test_one_host_port_twice_is_refused_and_the_same_mapping_twice_is_one() -> None:
    assert ports.parse_published(["8080:80", "8080:80"]) == (_port(80, 8080),)
    with pytest.raises(InvalidArgumentError, match=r"Bind for 0.0.0.0:8080 failed: port is already allocated"):
        ports.parse_published(["8080:80", "8080:81"])


def test_expose_gives_keys_of_exposed_ports() -> None:
    assert ports.parse_expose("80-81/UDP") == ("80/udp", "81/udp")
    with pytest.raises(InvalidArgumentError, match="invalid port format for --expose: 1:2"):
        ports.parse_expose("1:2")
    with pytest.raises(InvalidArgumentError, match="invalid range format for --expose: x"):
        ports.parse_expose("x")


def test_publish_all_leaves_published_ones_alone() -> None:
    assert ports.publish_all(["443/tcp", "80/tcp"], (_port(80, 8080),)) == (_port(80, 8080), _port(443))


def test_ps_shows_ports_in_dockers_order_and_ranges() -> None:
    shown = ports.format_ports([_port(81, 8081), _port(80, 8080), _port(53, 53, "udp"), _port(90, 1)], ["443/tcp", "80/tcp"])
    assert shown == "0.0.0.0:53->53/udp, 443/tcp, 0.0.0.0:8080->80/tcp, 0.0.0.0:8081->81/tcp, 0.0.0.0:1->90/tcp"


def test_ps_shows_what_docker_showed_for_the_same_container() -> None:
    """Copied from docker 26: -p of all these, --expose 443-446 and 10/udp."""
    one, two = "127.0.0.1", "127.0.0.2"
    published = [
        *(_port(number, 28000 + number, host_ip=one) for number in (80, 81, 82)),
        *(_port(number, number, host_ip=one) for number in (29000, 29001, 27001)),
        *(_port(number, number, "udp", one) for number in (27000, 27002)),
        *(_port(number, number, host_ip=two) for number in (27000, 29000)),
        _port(5000, 29005, host_ip=one),
        _port(5000, 29006, host_ip=two),
    ]
    assert ports.format_ports(published, ["443/tcp", "444/tcp", "445/tcp", "446/tcp", "10/udp"]) == (
        "127.0.0.1:27000->27000/udp, 127.0.0.1:27001->27001/tcp, 127.0.0.2:27000->27000/tcp, 10/udp, 443-446/tcp, "
        "127.0.0.1:27002->27002/udp, 127.0.0.2:29000->29000/tcp, 127.0.0.1:29000-29001->29000-29001/tcp, "
        "127.0.0.1:28080->80/tcp, 127.0.0.1:28081->81/tcp, 127.0.0.1:28082->82/tcp, 127.0.0.1:29005->5000/tcp, "
        "127.0.0.2:29006->5000/tcp"
    )
    assert ports.format_ports([_port(80, 8080, host_ip="::")]) == "[::]:8080->80/tcp"


def test_the_lines_of_port() -> None:
    published = [_port(80, 8080), _port(53, 5353, "udp", "127.0.0.1")]
    assert ports.format_port_lines(published) == ("53/udp -> 127.0.0.1:5353", "80/tcp -> 0.0.0.0:8080")
    assert ports.find_published(published, "80", "web") == ("0.0.0.0:8080",)
    with pytest.raises(InvalidArgumentError, match="no public port '81/tcp' published for web"):
        ports.find_published(published, "81/tcp", "web")


def test_network_config_goes_there_and_back() -> None:
    mappings = (_port(80, 8080), _port(53, 5353, "udp", "127.0.0.1"))
    assert ports.from_entries(ports.to_network_config(mappings)["portMappings"]) == mappings
    assert ports.to_network_config(()) == {}


def test_the_next_start_asks_for_the_same_and_prefers_what_was_taken() -> None:
    fixed, chosen, pool = _port(80, 8080), _port(81), _port(82, 9000, host_ip="127.0.0.1", end=9009)
    taken = [_port(80, 8080, host_ip=ip) for ip in ("0.0.0.0", "::")] + [_port(81, 49153, host_ip=ip) for ip in ("0.0.0.0", "::")]
    taken.append(_port(82, 9004, host_ip="127.0.0.1"))
    again = ports.for_next_start((fixed, chosen, pool), taken)
    assert again == (fixed, chosen.replace(last_port=49153), pool.replace(last_port=9004))
    assert ports.from_entries(ports.to_network_config(again)["portMappings"]) == again
    assert ports.for_next_start(again, ()) == (fixed, chosen, pool)
    assert ports.for_next_start((chosen, chosen.replace(host_ip="::")), taken[2:4])[1].last_port == 0
