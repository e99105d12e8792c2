"""Progress of a pull where nobody watches."""

from __future__ import annotations

import io
import json

from pyctl.cli.output.progress import progress_view
from pyctl_hookspecs.resolve_image import PullProgress


def event(state: str, done: int = 0, kind: str = "layer") -> PullProgress:
    return PullProgress(digest="sha256:" + "a" * 64, kind=kind, state=state, done_bytes=done, total_bytes=10)


def lines(style: str, *events: PullProgress) -> list[str]:
    stream = io.StringIO()
    with progress_view(style, stream) as view:
        for one in events:
            view(one)
    return stream.getvalue().splitlines()


def test_plain_progress_is_a_line_per_state_of_a_layer() -> None:
    found = lines("auto", event("waiting"), event("downloading", 5), event("downloaded"), event("downloaded"), event("done"))
    assert found == ["aaaaaaaaaaaa: Pulling fs layer", "aaaaaaaaaaaa: Download complete", "aaaaaaaaaaaa: Pull complete"]


def test_manifests_are_not_shown() -> None:
    assert lines("plain", event("done", kind="manifest")) == []


def test_json_progress_is_an_event_per_line() -> None:
    found = lines("json", event("downloading", 5))
    assert json.loads(found[0]) == {
        "digest": "sha256:" + "a" * 64,
        "kind": "layer",
        "state": "downloading",
        "done_bytes": 5,
        "total_bytes": 10,
    }


def test_quiet_is_quiet() -> None:
    assert lines("quiet", event("done")) == []


def test_bars_show_every_layer_on_a_terminal() -> None:
    text = "\n".join(lines("tty", event("downloading", 5), event("done", 10)))
    assert "aaaaaaaaaaaa" in text
    assert "Pull complete" in text
