"""From what the user typed to one container."""

from __future__ import annotations

from pyctl_hookspecs.errors import ConflictError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.client import Client
    from pyctl.containerd.records import Container

NAME_LABEL = "nerdctl/name"


def find_container(client: Client, text: str) -> Container:
    """The container with this name, ID or unambiguous beginning of an ID, in Docker's order of preference.

    Raises:
        NotFoundError: none.
        ConflictError: several IDs begin with it.
    """
    found = client.containers.find(text.removeprefix("/"))
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
