"""Records behave like frozen keyword-only dataclasses."""

from __future__ import annotations

import copy
import pickle

import pytest

from pyctl_hookspecs.setup_network import NetworkAttachment, PortMapping

PORT = PortMapping(container_port=80)


def test_defaults_equality_and_hash_go_by_value() -> None:
    assert PortMapping(container_port=80, host_port=0) == PORT
    assert hash(PORT) == hash(PortMapping(container_port=80))
    assert PortMapping(container_port=81) != PORT


def test_fields_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        PORT.host_port = 1  # type: ignore[misc]
    assert PORT.replace(host_port=1).host_port == 1


@pytest.mark.parametrize(
    ("fields", "message"), [({}, "missing field 'container_port'"), ({"container_port": 1, "x": 2}, "unknown field 'x'")]
)
def test_missing_and_unknown_fields_are_named(fields: dict[str, int], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        PortMapping(**fields)  # type: ignore[arg-type]


def test_nested_records_become_plain_data() -> None:
    attachment = NetworkAttachment(interface="eth0", ports=(PORT,))
    assert attachment.as_dict()["ports"] == [
        {"container_port": 80, "host_port": 0, "host_port_end": 0, "last_port": 0, "protocol": "tcp", "host_ip": "0.0.0.0"}
    ]


def test_records_survive_copy_and_pickle() -> None:
    assert copy.deepcopy(PORT) == pickle.loads(pickle.dumps(PORT)) == PORT
