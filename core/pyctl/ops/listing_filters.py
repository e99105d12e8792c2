"""``ps --filter``: Docker's filters, each checked before anything is listed.

Values of one key are alternatives and keys must all match; labels must match one and all.
"""

from __future__ import annotations

from pyctl.ops.inspect_state import HEALTH_STATES, STATES
from pyctl_hookspecs.errors import InvalidArgumentError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from re import Pattern

    from pyctl.containerd.records import Container
    from pyctl.ops.listing import ListedContainer
    from pyctl.ops.session import Session

KEYS = (
    *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name"),
    *("network", "publish", "since", "status", "volume"),
)
_TRUE, _FALSE = ("1", "true"), ("0", "false")


class Chosen:
    """The filters of one ``ps``.

    Raises:
        InvalidArgumentError: an unknown key or a value it does not take, in Docker's words.
    """

    def __init__(self, session: Session, filters: Sequence[tuple[str, str]]) -> None:
        self._session = session
        self._wanted: dict[str, list[str]] = {}
        for key, value in filters:
            if key not in KEYS:
                raise InvalidArgumentError(f"invalid filter '{key}'")
            self._wanted.setdefault(key, []).append(value)
        self._check()
        self._names = [_pattern(value) for value in self._of("name")]
        self._ids = tuple(filter(None, self._of("id")))  # an empty one is the beginning of no ID, as in Docker
        self._publish = _port_keys("publish", self._of("publish"))
        self._expose = _port_keys("expose", self._of("expose"))
        self._networks = self._network_names()
        self._ancestors: Callable[[Container], bool] | None = None

    @property
    def implies_all(self) -> bool:
        """Whoever asks for a state wants those that do not run, too."""
        return "status" in self._wanted

    def between(self, ordered: Iterable[Container]) -> list[Container]:
        """Cut a list that begins with the newest: what is older than ``before`` and newer than ``since``.

        Raises:
            NotFoundError: no such container.
        """
        found = list(ordered)
        for reference in self._of("before"):
            found = found[_position(found, self._session, reference) + 1 :]
        for reference in self._of("since"):
            found = found[: _position(found, self._session, reference)]
        return found

    def by_labels(self, container: Container) -> bool:
        """Everything that can be said without knowing whether it runs."""
        from pyctl.ops.listing import display_name, network_names

        labels = container.labels
        if "id" in self._wanted and not container.container_id.startswith(self._ids):
            return False
        name = display_name(labels)
        if not _any(self._names, name) and not _any(self._names, f"/{name}"):
            return False
        for value in self._of("label"):
            key, equals, text = value.partition("=")
            if key not in labels or (equals and labels[key] != text):
                return False
        if self._networks and not self._networks.intersection(network_names(labels)):
            return False
        if any(value in _TRUE for value in self._of("is-task")):
            return False
        return self._volumes_match(container) and self._ancestor_matches(container)

    def by_state(self, one: ListedContainer) -> bool:
        """The rest: state, exit code, health and ports."""
        state = one.state
        wanted = self._of("status")
        if wanted and state.status not in wanted:
            return False
        codes = self._of("exited")
        if codes and (state.is_running or state.status == "created" or str(state.exit_code) not in map(_number, codes)):
            return False
        health = self._of("health")
        if health and (state.health or "none") not in health:
            return False
        if self._publish and not any(f"{port.host_port}/{port.protocol}" in self._publish for port in one.ports):
            return False
        inside = {f"{port.container_port}/{port.protocol}" for port in one.ports}
        return not self._expose or not self._expose.isdisjoint(inside.union(one.exposed))

    def _of(self, key: str) -> list[str]:
        return self._wanted.get(key, [])

    def _check(self) -> None:
        for value in self._of("status"):
            if value not in STATES:
                raise InvalidArgumentError(f"invalid filter 'status={value}'")
        for value in self._of("health"):
            if value not in HEALTH_STATES:
                raise InvalidArgumentError(f"unrecognized filter value for health: {value}")
        for value in self._of("exited"):
            if not value.removeprefix("-").removeprefix("+").isdecimal():
                raise InvalidArgumentError(f"invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": invalid syntax")
        for value in self._of("is-task"):
            if value not in _TRUE + _FALSE:
                raise InvalidArgumentError(f"invalid filter 'is-task=[{value}]'")

    def _network_names(self) -> set[str]:
        """Names of the networks, whether they were given by name or by ID."""
        wanted = {*self._of("network")}
        if not wanted:
            return wanted
        from pyctl.ops.networks import ls

        prefixes = tuple(filter(None, wanted))
        return wanted | {row.name for row in ls(self._session) if row.network_id.startswith(prefixes)}

    def _volumes_match(self, container: Container) -> bool:
        wanted = self._of("volume")
        if not wanted:
            return True
        from pyctl.spec.labels import mount_points

        return any(
            value in (point.name, point.destination) or (point.type == "bind" and value == point.source)
            for point in mount_points(container.labels)
            for value in wanted
        )

    def _ancestor_matches(self, container: Container) -> bool:
        wanted = self._of("ancestor")
        if not wanted:
            return True
        if self._ancestors is None:
            from pyctl.ops.listing_ancestors import descends_from

            self._ancestors = descends_from(self._session, wanted)
        return self._ancestors(container)


def _pattern(text: str) -> Pattern[str] | str:
    """A regular expression, as Docker has it; what is none is taken as it stands."""
    import re

    try:
        return re.compile(text)
    except re.error:
        return text


def _any(patterns: Sequence[Pattern[str] | str], text: str) -> bool:
    """Does any match? No pattern at all is a match."""
    return not patterns or any(one in text if isinstance(one, str) else one.search(text) is not None for one in patterns)


def _number(text: str) -> str:
    return str(int(text))


def _port_keys(key: str, values: Sequence[str]) -> set[str]:
    """``80``, ``8000-8010/udp`` as ``80/tcp`` ..."""
    found: set[str] = set()
    for value in values:
        numbers, _, protocol = value.partition("/")
        first, dash, last = numbers.partition("-")
        for number in (first, last) if dash else (first,):
            if not number.isdecimal() or int(number) > 65535:
                raise InvalidArgumentError(
                    f'error while looking up for {key} {value}: strconv.ParseUint: parsing "{number}": invalid syntax'
                )
        found |= {f"{port}/{(protocol or 'tcp').lower()}" for port in range(int(first), int(last or first) + 1)}
    return found


def _position(ordered: Sequence[Container], session: Session, reference: str) -> int:
    """Where a container stands in the list; one that an earlier filter cut away stands after the end."""
    from pyctl.ops.lookup import find_container

    try:
        container_id = find_container(session.client, reference).container_id
    except NotFoundError:
        raise NotFoundError("container", reference) from None
    return next((n for n, one in enumerate(ordered) if one.container_id == container_id), len(ordered))
