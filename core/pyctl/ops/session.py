"""One command's view of the world: settings, plug-ins, the daemon and the state on disk, each opened when first used."""

from __future__ import annotations

from _thread import allocate_lock

from pyctl.lifecycle.cancel import Cancel
from pyctl_hookspecs.errors import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.client import Client
    from pyctl.containerd.transport import Pending
    from pyctl.ops.host import CoreHost
    from pyctl.ops.settings import Settings
    from pyctl.providers.hooks import Hooks
    from pyctl.state.names import NameStore
    from pyctl.state.paths import StatePaths

_LAST_CALL_S = 10.0


class Session:
    """Shared by the threads of a command. ``notices`` are lines for people, printed on stderr at its end.

    ``ended``: containers whose task this command knows to be over, until it is deleted. ``dying``: pidfds of those it has
    killed and has not waited for. Nothing is opened before it is used; ``close`` ends what was.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cancel = Cancel()
        self.notices: list[str] = []
        self.ended: set[str] = set()
        self.dying: dict[str, int] = {}
        self._opening = allocate_lock()  # the threads of a batch all come at once
        self._client: Client | None = None
        self._hooks: Hooks | None = None
        self._host: CoreHost | None = None
        self._paths: StatePaths | None = None
        self._under_way: list[Pending[object]] = []

    @property
    def namespace(self) -> str:
        return self.settings.namespace

    @property
    def client(self) -> Client:
        """The daemon, checked to be there.

        Raises:
            UnavailableError: nobody answers; says why and what to do.
        """
        with self._opening:
            if self._client is None:
                from pyctl.containerd.client import Client

                self._client = Client(self.address, self.namespace)
            return self._client

    @property
    def address(self) -> str:
        return self.settings.address

    @property
    def hooks(self) -> Hooks:
        with self._opening:
            if self._hooks is None:
                from pyctl.providers.hooks import Hooks
                from pyctl.providers.registry import Registry
                from pyctl.providers.scan import installed

                settings = self.settings
                self._hooks = Hooks(
                    Registry(
                        installed,
                        chosen=dict(settings.plugin_choices),
                        disabled=frozenset(settings.plugins_disabled),
                        builtins_only=settings.plugins_off,
                    )
                )
            return self._hooks

    @property
    def paths(self) -> StatePaths:
        if self._paths is None:
            from pyctl.state.paths import StatePaths, address_hash, check_namespace

            settings = self.settings
            check_namespace(settings.namespace)
            self._paths = StatePaths(
                data_root=settings.data_root,
                data_store=f"{settings.data_root}/{address_hash(self.address)}",
                namespace=settings.namespace,
                runtime_dir=settings.runtime_dir,
            )
        return self._paths

    @property
    def names(self) -> NameStore:
        from pyctl.state.names import NameStore

        return NameStore(self.paths.names)

    @property
    def host(self) -> CoreHost:
        """What plug-ins may use."""
        if self._host is None:
            from pyctl.ops.host import CoreHost

            self._host = CoreHost(self)
        return self._host

    def finish_later(self, call: Pending[object]) -> None:
        """Let a call go on that nobody has to wait for before the session ends, and whose failure harms nobody."""
        self._under_way.append(call)

    def close(self) -> None:
        """Hang up, once what was to be finished later is. Safe to call twice."""
        while self._under_way:
            try:
                self._under_way.pop().result(_LAST_CALL_S)
            except (PyctlError, TimeoutError):
                pass  # a lease that stays names its owner, and a later command deletes it
        if self._client is not None:
            self._client.close()
            self._client = None


def open_session(settings: Settings) -> Session:
    """A session on the daemon of the settings, or on our own engine if none was named and none answers.

    Raises:
        UnavailableError: nobody answers, or our own engine cannot be started.
    """
    session = Session(settings)
    if not settings.is_address_explicit:
        from pyctl.engine.find import find, is_vacant

        if is_vacant(settings.address):
            found = find(settings)
            session.settings = settings.replace(address=found.address)
            session.notices.extend(found.notices)
    return session
