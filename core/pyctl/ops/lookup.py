"""From what the user typed to one container."""

from __future__ import annotations

from pyctl_hookspecs.errors import ConflictError, NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyctl.containerd.client import Client
    from pyctl.containerd.records import Container

NAME_LABEL = "nerdctl/name"


def find_container(client: Client, text: str) -> Container:
    """The container with this name, ID or unambiguous beginning of an ID, in Docker's order of preference.

    Raises:
        NotFoundError: none.
        ConflictError: several IDs begin with it.
    """
    return _choose(client.containers.find(text.removeprefix("/")), text)


class Finder:
    """``find_container`` for a command with many names: the daemon goes through its containers once, not once for each.

    ``known`` are those found, by name, each container once. One that is named again is looked up anew: it may be gone.
    """

    def __init__(self, client: Client, texts: Sequence[str]) -> None:
        self._client = client
        self.known: dict[str, Container] = {}
        if len(texts) < 2:
            return
        found = client.containers.find(*(text.removeprefix("/") for text in texts))
        first: dict[str, str] = {}
        for text in texts:
            try:
                container = _choose(_matching(found, text), text)
            except PyctlError:
                continue  # said when its turn comes
            if first.setdefault(container.container_id, text) == text:
                self.known[text] = container

    def __call__(self, text: str) -> Container:
        container = self.known.pop(text, None)
        return find_container(self._client, text) if container is None else container


def _matching(found: Iterable[Container], text: str) -> list[Container]:
    name = text.removeprefix("/")
    return [one for one in found if one.container_id.startswith(name) or container_name(one) == name]


def _choose(found: Sequence[Container], text: str) -> Container:
    if not found:
        raise NotFoundError("container", text)
    for container in found:
        if container.container_id == text:
            return container
    for container in found:
        if container.labels.get(NAME_LABEL) == text.removeprefix("/"):
            return container
    if len(found) > 1:
        raise ConflictError(f"Multiple IDs found with provided prefix: {text}")
    return found[0]


def container_name(container: Container) -> str:
    return container.labels.get(NAME_LABEL, "")
