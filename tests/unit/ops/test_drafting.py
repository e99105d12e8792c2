"""New containers' IDs."""

from __future__ import annotations

import pytest

from pyctl.ops.drafting import new_container_id

DECIMAL = "034950827625" + "ab" * 26


@pytest.mark.parametrize("fine", ["03495082762a", "e34950827625", "deadbeefdead"])
def test_an_id_whose_short_form_is_a_number_is_passed_over(fine: str) -> None:
    """One in 281 is: its container could not find its own address by its hostname."""
    rest = "1" * 52
    drawn = iter([DECIMAL, DECIMAL, fine + rest])
    assert new_container_id(lambda count: bytes.fromhex(next(drawn))[:count]) == fine + rest
