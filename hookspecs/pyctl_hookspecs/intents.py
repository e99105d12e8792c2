"""What a provider answers while planning."""

from __future__ import annotations

from pyctl_hookspecs.records import Record


class Intent(Record):
    """What a provider is about to do, decided before anything happens.

    ``says`` is one phrase for people ("connect eth0 to bridge"). ``undo_token`` holds names only
    (container ID, network, interface, snapshot key), never results, because it is on disk before the doing
    begins; an empty token means there is nothing to undo. ``late`` names the facts a dry run cannot know.
    """

    says: str
    undo_token: str = ""
    late: tuple[str, ...] = ()
