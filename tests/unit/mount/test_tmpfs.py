"""tmpfs mounts."""

from __future__ import annotations

from typing import Any

import pytest

from pyctl_hookspecs import InvalidArgumentError, MountRequest
from pyctl_plugins.mount import tmpfs


def options(*words: str, **values: Any) -> tuple[str, ...]:
    request = MountRequest(
        container_id="c", argument=f"--tmpfs /t:{','.join(words)}", type="tmpfs", source="", target="/t", options=words, **values
    )
    return tmpfs.process_mounts(request).mount.options


def test_nothing_can_be_executed_unless_asked() -> None:
    assert options() == ("noexec", "nosuid", "nodev", "rprivate")
    assert options("exec", "size=1m") == ("nosuid", "nodev", "exec", "size=1m", "rprivate")


def test_mount_keys_become_options() -> None:
    assert options(size_bytes=4096, mode="1770", read_only=True)[3:] == ("size=4096", "mode=1770", "ro", "rprivate")


@pytest.mark.parametrize("word", ["loud", "size", "size=", "colour=red"])
def test_an_unknown_option_is_refused_with_the_argument(word: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        options(word)
    assert str(raised.value) == f'invalid tmpfs option "{word}" (--tmpfs /t:{word})'
