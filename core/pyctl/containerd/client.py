"""``Client``: containerd, as the rest of pyctl sees it. One attribute per service.

A service's module loads when it is first asked for. Every method may raise the errors of ``pyctl_hookspecs``:
NotFoundError, ConflictError, InvalidArgumentError, UnsupportedError, UnavailableError (safe to try again).
"""

from __future__ import annotations

from _thread import allocate_lock

from pyctl.containerd.calls import Calls
from pyctl.containerd.records import EMPTY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    from pyctl.containerd.containers import Containers
    from pyctl.containerd.content import Content
    from pyctl.containerd.diff import Diff
    from pyctl.containerd.events import Events
    from pyctl.containerd.images import Images
    from pyctl.containerd.leases import Leases
    from pyctl.containerd.namespaces import Namespaces
    from pyctl.containerd.records import PluginInfo
    from pyctl.containerd.snapshots import Snapshots
    from pyctl.containerd.tasks import Tasks
    from pyctl.containerd.transport import Transport
    from pyctl_hookspecs.resolve_image import PullProgress

_shared: dict[str, tuple[Transport, int]] = {}  # address -> transport and how many clients hold it
_shared_lock = allocate_lock()


class Client:
    """Containerd at a socket, seen from one namespace.

    Nothing is opened before the first call. All clients of one address in a process share one connection,
    which goes when the last of them is closed; any thread may use it.
    """

    def __init__(self, address: str, namespace: str, *, transport: Transport | None = None) -> None:
        self.address, self.namespace = address, namespace
        self._is_shared = transport is None
        self._closed = False
        self._calls = Calls(_take(address) if transport is None else transport, namespace)

    def with_lease(self, lease_id: str) -> Client:
        """The same connection, every call under this lease. Close either, in any order."""
        return self._sibling(self.namespace, lease_id)

    def close(self) -> None:
        """Let go of the connection. Twice is once."""
        if self._closed:
            return
        self._closed = True
        if self._is_shared:
            _release(self.address)
        else:
            self._calls.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def lease_id(self) -> str:
        return self._calls.lease_id

    def version(self) -> tuple[str, str]:
        """The daemon's version ("2.1.9", Debian's "1.6.20~ds1") and revision."""
        from pyctl.containerd import introspection

        return introspection.version(self._calls)

    def plugins(self, filters: Iterable[str] = ()) -> tuple[PluginInfo, ...]:
        """The daemon's plug-ins, those that failed to start included (``init_error``)."""
        from pyctl.containerd import introspection

        return introspection.plugins(self._calls, filters)

    def server_uuid(self) -> str:
        """What tells one data root from another, across restarts."""
        from pyctl.containerd import introspection

        return introspection.server_uuid(self._calls)

    @property
    def namespaces(self) -> Namespaces:
        from pyctl.containerd.namespaces import Namespaces

        return Namespaces(self._calls)

    @property
    def containers(self) -> Containers:
        from pyctl.containerd.containers import Containers

        return Containers(self._calls)

    @property
    def images(self) -> Images:
        from pyctl.containerd.images import Images

        return Images(self._calls)

    @property
    def content(self) -> Content:
        from pyctl.containerd.content import Content

        return Content(self._calls)

    @property
    def snapshots(self) -> Snapshots:
        from pyctl.containerd.snapshots import Snapshots

        return Snapshots(self._calls)

    @property
    def diff(self) -> Diff:
        from pyctl.containerd.diff import Diff

        return Diff(self._calls)

    @property
    def tasks(self) -> Tasks:
        from pyctl.containerd.tasks import Tasks

        return Tasks(self._calls)

    @property
    def leases(self) -> Leases:
        from pyctl.containerd.leases import Leases

        return Leases(self._calls)

    @property
    def events(self) -> Events:
        from pyctl.containerd.events import Events

        return Events(self._calls)

    def transfer(
        self,
        name: str,
        *,
        platforms: Iterable[str] = (),
        snapshotter: str = "",
        labels: Mapping[str, str] = EMPTY,
        hosts_dir: str = "",
        plain_http: bool = False,
        credentials: Callable[[str], tuple[str, str]] | None = None,
        progress: Callable[[PullProgress], None] | None = None,
    ) -> None:
        """Let containerd (1.7 and later) pull ``name``; see ``pyctl.containerd.transfer.pull``.

        Raises:
            UnsupportedError: this containerd has no Transfer service.
        """
        from pyctl.containerd.transfer import pull

        pull(
            self._calls,
            name,
            platforms=platforms,
            snapshotter=snapshotter,
            labels=labels,
            hosts_dir=hosts_dir,
            plain_http=plain_http,
            credentials=credentials,
            progress=progress,
        )

    def _sibling(self, namespace: str, lease_id: str) -> Client:
        transport = None if self._is_shared else self._calls.transport
        other = Client(self.address, namespace, transport=transport)
        other._calls = Calls(other._calls.transport, namespace, lease_id)
        return other


def _take(address: str) -> Transport:
    with _shared_lock:
        transport, users = _shared.get(address, (None, 0))
        if transport is None:
            transport = _open(address)
        _shared[address] = (transport, users + 1)
        return transport


def _open(address: str) -> Transport:
    """The light transport; grpcio for every call with ``PYCTL_TRANSPORT=grpc``."""
    import os

    if os.environ.get("PYCTL_TRANSPORT") == "grpc":
        from pyctl.containerd.transport import GrpcTransport

        return GrpcTransport(address)
    from pyctl.containerd.unix_transport import UnixTransport

    return UnixTransport(address)


def _release(address: str) -> None:
    with _shared_lock:
        transport, users = _shared[address]
        if users > 1:
            _shared[address] = (transport, users - 1)
            return
        del _shared[address]
    transport.close()
