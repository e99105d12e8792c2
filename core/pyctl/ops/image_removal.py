"""``rmi``, ``tag`` and ``image prune``: names come and go; content follows when nothing refers to it any more."""

from __future__ import annotations

from pyctl.ops.images import UNTAGGED
from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.client import Client
    from pyctl.containerd.records import Image
    from pyctl.ops.session import Session

_RUNNING = frozenset(("created", "running", "paused", "pausing"))


class Removed(Record):
    """What a removal did, in Docker's words: ``Untagged`` names and ``Deleted`` digests."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        return (*(f"Untagged: {name}" for name in self.untagged), *(f"Deleted: {digest}" for digest in self.deleted))


def remove_image(session: Session, text: str, *, force: bool = False, sync: bool = True) -> Removed:
    """Remove a name; with the last one of an image, the image. By ID: all its names.

    With ``sync`` the garbage is collected before this returns.

    Raises:
        NotFoundError: no such image.
        ConflictError: in use, or several names; Docker's words.
    """
    from pyctl.ops.images import find_image, same_target

    client = session.client
    image = find_image(client, text)
    names = [one.name for one in same_target(client, image)]
    users = _users(client, names)
    if not _is_name(text, image):
        _check_removal_by_id(client, image, names, users, force=force)
        return _delete(session, image, names, sync=sync)
    others = [name for name in names if name != image.name]
    if others:
        return _delete(session, image, [image.name], sync=sync)
    if users and not force:
        raise ConflictError(
            f'conflict: unable to remove repository reference "{_familiar(text)}" (must force) - '
            f"container {users[0][:12]} is using its referenced image {_short(image)}"
        )
    if users and _first_running(client, users):
        # The containers go on without a name for their image, as in Docker; its content stays for them.
        session.host.images.record(f"{UNTAGGED}@{image.target.digest}", image.target, {})
    return _delete(session, image, [image.name], sync=sync)


def tag_image(session: Session, source: str, target: str) -> None:
    """Give an image another name; one that is taken moves.

    Raises:
        NotFoundError: no such source.
        InvalidArgumentError: the target is no name, or has a digest.
    """
    from pyctl.ops.images import find_image
    from pyctl_hookspecs.references import normalise, parse

    try:
        wanted = parse(target)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f'Error parsing reference: "{target}" is not a valid repository/tag: {error}') from error
    if wanted.digest:
        raise InvalidArgumentError("refusing to create a tag with a digest reference")
    image = find_image(session.client, source)
    session.host.images.record(str(normalise(target)), image.target, {})
    if image.name.startswith(UNTAGGED):
        session.client.images.delete(image.name)


def _check_removal_by_id(client: Client, image: Image, names: list[str], users: list[str], *, force: bool) -> None:
    running = _first_running(client, users)
    start = f"conflict: unable to delete {_short(image)}"
    if running:
        raise ConflictError(f"{start} (cannot be forced) - image is being used by running container {running[:12]}")
    if users and not force:
        raise ConflictError(f"{start} (must be forced) - image is being used by stopped container {users[0][:12]}")
    from pyctl.ops.images import repository_of

    if len({repository_of(name) for name in names}) > 1 and not force:
        raise ConflictError(f"{start} (must be forced) - image is referenced in multiple repositories")


def _delete(session: Session, image: Image, names: list[str], *, sync: bool) -> Removed:
    from pyctl.ops.image_listing import config_of
    from pyctl.ops.images import repository_of, same_target
    from pyctl_hookspecs.references import familiar, parse

    client = session.client
    config = config_of(session, image)
    untagged = [familiar(name) for name in names if not name.startswith(UNTAGGED)]
    for n, name in enumerate(names):
        try:
            client.images.delete(name, sync=sync and n == len(names) - 1)
        except NotFoundError:
            continue
    left = [one.name for one in same_target(client, image)]
    if left:
        return Removed(untagged=tuple(untagged))
    repositories = dict.fromkeys(parse(name).familiar_name for name in names if repository_of(name))
    by_digest = [f"{repository}@{image.target.digest}" for repository in repositories]
    untagged += [name for name in by_digest if name not in untagged]
    deleted = [image.target.digest]
    if config is not None and sync:
        deleted += _gone(session, config.diff_ids)
    return Removed(untagged=tuple(untagged), deleted=tuple(deleted))


def _gone(session: Session, diff_ids: tuple[str, ...]) -> list[str]:
    """Chain IDs of the layers that went with the image, from the top."""
    from pyctl.ops.image_store import chain_id

    chains, chain = [], ""
    for diff_id in diff_ids:
        chain = chain_id(chain, diff_id)
        chains.append(chain)
    gone = []
    for one in reversed(chains):
        try:
            session.client.snapshots.stat(session.settings.snapshotter, one)
            break  # what is below it is there too
        except NotFoundError:
            gone.append(one)
    return gone


def _is_name(text: str, image: Image) -> bool:
    from pyctl.ops.images import repository_of
    from pyctl_hookspecs.references import normalise

    if text == image.name:
        return True
    try:
        reference = normalise(text)
    except InvalidArgumentError:
        return False
    return str(reference) == image.name or (bool(reference.digest) and repository_of(image.name) == reference.name)


def _users(client: Client, names: list[str]) -> list[str]:
    wanted = set(names)
    return [container.container_id for container in client.containers.list() if container.image in wanted]


def _first_running(client: Client, container_ids: list[str]) -> str:
    if not container_ids:
        return ""
    running = {task.container_id for task in client.tasks.list() if task.status in _RUNNING}
    return next((container_id for container_id in container_ids if container_id in running), "")


def _familiar(text: str) -> str:
    from pyctl_hookspecs.references import normalise

    try:
        return normalise(text).familiar
    except InvalidArgumentError:
        return text


def _short(image: Image) -> str:
    return image.target.digest.partition(":")[2][:12]
