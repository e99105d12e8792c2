"""Labels that containerd would not keep."""

from __future__ import annotations

from pyctl.spec.own_labels import packed, unpacked


def test_labels_without_a_value_survive_being_stored() -> None:
    labels = {"ci": "", "tier": "web", "a,b": "", "ü": ""}
    stored = packed(labels)
    assert all(stored.values()) and stored["tier"] == "web"
    assert unpacked(stored) == labels


def test_labels_with_values_are_stored_as_they_are() -> None:
    assert packed({"tier": "web", "nerdctl/domainname": ""}) == {"tier": "web"}
    assert unpacked({"tier": "web"}) == {"tier": "web"}


def test_more_than_containerd_takes_is_forgotten() -> None:
    assert packed({f"key-{number:04}": "" for number in range(1000)}) == {}
