"""Who undoes what: our own steps from a table, everybody else's through their plug-in's ``cleanup``."""

from __future__ import annotations

from pyctl_hookspecs.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl.ops.session import Session


def undoer(session: Session) -> Callable[[str, str], None]:
    """A function that undoes one step of provider ``kind/name`` from its token."""

    def undo(provider: str, token: str) -> None:
        kind, _, name = provider.partition("/")
        if kind == "core":
            _CORE[name](session, token)
        else:
            session.hooks.cleanup(kind, name, token, session.host)

    return undo


def _lease(session: Session, lease_id: str) -> None:
    try:
        session.client.leases.delete(lease_id)
    except NotFoundError:
        pass


def _name(session: Session, token: str) -> None:
    container_name, _, container_id = token.partition("/")
    session.names.release(container_name, container_id)


def _kept_name(session: Session, token: str) -> None:
    from pyctl.ops.hooked import keep_name

    container_name, _, container_id = token.partition("/")
    keep_name(session, container_name, container_id)


def _files(session: Session, container_id: str) -> None:
    from pyctl.state.hosts import HostsStore

    HostsStore(session.paths.data_store, session.namespace).remove(container_id)


def _container(session: Session, container_id: str) -> None:
    try:
        session.client.containers.delete(container_id)
    except NotFoundError:
        pass


def _cidfile(_session: Session, token: str) -> None:
    """Remove the file if it is this container's, perhaps half-written: it may be another one's, or never have been ours."""
    import os

    container_id, _, path = token.partition(":")
    try:
        with open(path, encoding="ascii") as file:
            is_ours = container_id.startswith(file.read())
        if is_ours:
            os.unlink(path)
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        pass


def _netns(_session: Session, path: str) -> None:
    from pyctl.state import netns

    netns.release(path)


def _hosts(session: Session, container_id: str) -> None:
    from pyctl.ops.naming import unserve
    from pyctl.state.containers import StateDir
    from pyctl.state.hosts import HostsStore

    HostsStore(session.paths.data_store, session.namespace).release(container_id, along=(*session.ended, *session.dying))
    unserve(session, container_id)
    StateDir(session.paths.state_dir(container_id)).forget_attachments()


def _network_draft(session: Session, token: str) -> None:
    from pyctl.ops.network_plans import undo_draft

    undo_draft(session, token)


def _network_trial(session: Session, token: str) -> None:
    from pyctl.ops.network_plans import undo_connection

    undo_connection(session, token)


def _fifos(_session: Session, directory: str) -> None:
    from pyctl.ops.streams import remove_fifos

    remove_fifos(directory)


def _watch(session: Session, container_id: str) -> None:
    from pyctl.keeper import client as keeper

    paths = session.paths
    # Nobody undoes a plan without the container's note.
    payload = {"namespace": session.namespace, "container": container_id, "holds_note": True}
    keeper.request_if_running(paths.data_store, paths.runtime_dir, "unwatch", payload, data_root=paths.data_root)


def _shm(_session: Session, path: str) -> None:
    from pyctl.ops.sharing import unmount_shm

    unmount_shm(path)


def _endpoint(session: Session, token: str) -> None:
    from pyctl.ops.network_changes import forget_endpoint

    forget_endpoint(session, *token.split("/", 1))


def _peers(session: Session, token: str) -> None:
    from pyctl.ops.network_changes import leave_peers

    leave_peers(session, *token.split("/", 1))


def _attachment(session: Session, token: str) -> None:
    from pyctl.ops.network_changes import detach

    detach(session, token)


def _nothing(_session: Session, _token: str) -> None:
    """A step that another step's undo takes along."""


_CORE: dict[str, Callable[[Session, str], None]] = {
    "attachment": _attachment,
    "cidfile": _cidfile,
    "container": _container,
    "endpoint": _endpoint,
    "fifos": _fifos,
    "files": _files,
    "hosts": _hosts,
    "kept-name": _kept_name,
    "lease": _lease,
    "name": _name,
    "netns": _netns,
    "network-draft": _network_draft,
    "network-trial": _network_trial,
    "none": _nothing,
    "peers": _peers,
    "shm": _shm,
    "watch": _watch,
}
