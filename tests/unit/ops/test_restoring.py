"""What a stored container was told, read back from its labels."""

from __future__ import annotations

from pyctl.containerd.records import Container
from pyctl.ops.restoring import log_choice


def choice(**labels: str) -> tuple[str, tuple[tuple[str, str], ...], str]:
    return log_choice(Container(container_id="c1", labels={f"nerdctl/{key.replace('_', '-')}": labels[key] for key in labels}))


def test_the_log_driver_is_read_back_with_its_options() -> None:
    config = '{"driver":"json-file","opts":{"max-size":"1m"},"address":"/run/c.sock"}'
    assert choice(log_config=config, log_uri="binary:///x?a=b") == ("json-file", (("max-size", "1m"),), "binary:///x?a=b")


def test_nerdctl_leaves_the_driver_none_empty() -> None:
    assert choice(log_config='{"driver":"","address":""}', log_uri="none") == ("none", (), "none")
