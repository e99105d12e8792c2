"""A pull's lease, which outlives an interruption: the next pull of the same image goes on where this one stopped.

What was fetched is held for a day, until a pull of the same image succeeds, or until ``system reconcile``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyctl_hookspecs.errors import NotFoundError, PyctlError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl.containerd.records import Lease
    from pyctl.ops.host import CoreHost
    from pyctl.ops.session import Session
    from pyctl.state.locks import Lock

_IMAGE = "pyctl/pull"  # the image that was being pulled


@contextmanager
def resumable(session: Session, image_ref: str) -> Iterator[CoreHost]:
    """A host whose changes are kept while the context is open, and afterwards if it is left by an interruption.

    What interrupted pulls of this image left is under the lease, too. After a success, or a failure that trying again
    does not mend, nothing is kept; leaving waits until that is collected. While another process pulls the same image,
    what this one fetches is not kept after an interruption.
    """
    from pyctl.ops.leases import leased, make_lease

    lock = _lock(session, image_ref)
    if lock is None:
        with leased(session, sync=True) as host:
            yield host
        return
    with lock:
        left = session.client.leases.list([f'labels."{_IMAGE}"'])
        lease_id = make_lease(session, {_IMAGE: image_ref})
        try:
            for lease in left:
                if lease.labels.get(_IMAGE) == image_ref:
                    _take_over(session, lease.lease_id, lease_id)
                elif _has_expired(lease):
                    _delete(session, lease.lease_id)
            yield session.host.leased(lease_id)
        except (KeyboardInterrupt, UnavailableError):
            if not _holds_something(session, lease_id):
                _delete(session, lease_id)
            raise
        except BaseException:
            _delete(session, lease_id)
            raise
        _delete(session, lease_id)


def _lock(session: Session, image_ref: str) -> Lock | None:
    """Whoever has it is the only one who keeps what was fetched of this image; None: somebody else does."""
    from hashlib import sha256

    from pyctl.state.locks import Lock

    directory = f"{session.paths.runtime_dir}/pull"
    os.makedirs(directory, mode=0o700, exist_ok=True)
    what = sha256("\n".join((session.address, session.namespace, image_ref)).encode()).hexdigest()
    try:
        # A few locks for all images: files named after images would gather, and removing a lock file is a race.
        return Lock(f"{directory}/.{what[:2]}.lock", blocking=False)
    except BlockingIOError:
        return None


def _take_over(session: Session, old: str, new: str) -> None:
    """Put everything under the new lease before the old one goes; a lease's term cannot be changed."""
    leases = session.client.leases
    try:
        for resource in leases.resources(old):
            leases.add_resource(new, resource)
    except NotFoundError:
        return  # somebody cleaned up just now
    _delete(session, old, sync=False)


def _holds_something(session: Session, lease_id: str) -> bool:
    try:
        return bool(session.client.leases.resources(lease_id))
    except PyctlError:
        return True  # the daemon is gone: whoever finds the lease deletes it


def _has_expired(lease: Lease) -> bool:
    """Its owner may be busy for more than a day: then it has taken over nothing, and holds what it fetches now itself."""
    from pyctl.ops.leases import has_expired, is_abandoned

    return is_abandoned(lease) and has_expired(lease)


def _delete(session: Session, lease_id: str, *, sync: bool = True) -> None:
    try:
        session.client.leases.delete(lease_id, sync=sync)
    except (NotFoundError, UnavailableError):
        pass  # without a daemon: the next pull finds it
