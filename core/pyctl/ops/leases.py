"""Work under a containerd lease, so that nothing half-made is collected; what dead owners left is deleted.

A lease alone frees nothing when it expires, so every lease names its owner and any later command may delete it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyctl_hookspecs.errors import NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyctl.containerd.records import Lease
    from pyctl.containerd.transport import Pending
    from pyctl.ops.host import CoreHost
    from pyctl.ops.session import Session

_OWNER = "pyctl/owner"  # "<pid> <start time in clock ticks>"
_EXPIRES = "containerd.io/gc.expire"
_LIFETIME_S = 24 * 3600


@contextmanager
def leased(session: Session, *, sync: bool = False) -> Iterator[CoreHost]:
    """A host whose changes are kept while the context is open. Leaving it collects what nothing refers to.

    With ``sync``, leaving it waits until that is done. The lease is made while the caller plans, and after a success
    it goes while the caller goes on (until the session is closed).
    """
    lease_id, labels = _new_lease()
    making = session.client.leases.start_create(lease_id, labels)
    host = session.host.leased(lease_id, making.result)
    try:
        try:
            yield host
        finally:
            host.drop_claims()
    except BaseException:
        _settle(making)  # two connections: the daemon might see the deletion first
        _delete(session, lease_id, sync=sync)
        raise
    _settle(making)
    if sync:
        _delete(session, lease_id, sync=True)
    else:
        session.finish_later(session.client.leases.start_delete(lease_id))


def make_lease(session: Session, labels: Mapping[str, str]) -> str:
    """A lease of this process with these labels, too; its ID. The caller deletes it."""
    lease_id, usual = _new_lease()
    session.client.leases.create(lease_id, {**usual, **labels})
    return lease_id


def _new_lease() -> tuple[str, dict[str, str]]:
    import time

    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _LIFETIME_S))
    return f"pyctl-{os.getpid()}-{os.urandom(6).hex()}", {_OWNER: owner_text(os.getpid()), _EXPIRES: expires}


def is_abandoned(lease: Lease) -> bool:
    """Is the process that made it gone? False for the leases of others."""
    owner = lease.labels.get(_OWNER, "")
    return bool(owner) and owner != owner_text(int(owner.split()[0]))


def has_expired(lease: Lease) -> bool:
    """Is its term over?"""
    import time

    return lease.labels.get(_EXPIRES, "9") <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _settle(call: Pending[object]) -> None:
    """Wait until a call is over; who needed what it does has been told how it ended."""
    try:
        call.result()
    except PyctlError:
        pass


def delete_abandoned(session: Session) -> list[str]:
    """Delete the leases of pyctl processes that are gone; returns their IDs."""
    gone = []
    for lease in session.client.leases.list():
        if is_abandoned(lease):
            _delete(session, lease.lease_id)
            gone.append(lease.lease_id)
    return gone


def _delete(session: Session, lease_id: str, *, sync: bool = False) -> None:
    try:
        session.client.leases.delete(lease_id, sync=sync)
    except NotFoundError:
        pass


def owner_text(pid: int) -> str:
    """A process as ``<pid> <start time>``, which no later process of that number repeats; only the pid if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return f"{pid} {file.read().rpartition(b')')[2].split()[19].decode()}"
    except (FileNotFoundError, ProcessLookupError):
        return str(pid)
