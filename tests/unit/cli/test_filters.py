"""--filter."""

from __future__ import annotations

import pytest

from pyctl.cli.filters import filter_pairs
from pyctl.cli.flags import UsageError


@pytest.mark.parametrize(
    ("texts", "pairs"),
    [
        (["status=exited", "Name=web"], (("status", "exited"), ("name", "web"))),
        (["status=exited,name=web"], (("status", "exited"), ("name", "web"))),
        (["label=stages=build,test"], (("label", "stages=build,test"),)),
        (["label=a=b,c=d"], (("label", "a=b,c=d"),)),
        (["label=a,label=b"], (("label", "a"), ("label", "b"))),
        (["name="], (("name", ""),)),
    ],
)
def test_a_comma_splits_only_before_a_known_key(texts: list[str], pairs: tuple[tuple[str, str], ...]) -> None:
    assert filter_pairs(texts) == pairs


def test_a_filter_without_a_value_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        filter_pairs(["bogus"])
    assert caught.value.exit_code == 125
    assert str(caught.value) == 'invalid argument "bogus" for "-f, --filter" flag: bad format of filter (expected name=value)'
