"""What every service needs: the transport, and the headers that go with each call."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    from pyctl.containerd.message import Message
    from pyctl.containerd.transport import Exchange, Pending, Stream, Transport

    R = TypeVar("R", bound=Message)

TIMEOUT_S = 60.0  # a busy disk makes containerd slow; nobody waits longer for an answer that is not coming


class Calls:
    """Calls in one containerd namespace, under a lease or none. ``about`` is kind and name, for errors."""

    __slots__ = ("lease_id", "metadata", "namespace", "transport")

    def __init__(self, transport: Transport, namespace: str, lease_id: str = "") -> None:
        self.transport, self.namespace, self.lease_id = transport, namespace, lease_id
        lease = (("containerd-lease", lease_id),) if lease_id else ()
        self.metadata = (("containerd-namespace", namespace), *lease)

    def unary(
        self, method: str, request: Message, reply: type[R], about: tuple[str, str] = ("object", ""), timeout_s: float = TIMEOUT_S
    ) -> R:
        return self.transport.unary(method, request, reply, self.metadata, about, timeout_s)

    def start_unary(self, method: str, request: Message, reply: type[R], about: tuple[str, str] = ("object", "")) -> Pending[R]:
        return self.transport.start_unary(method, request, reply, self.metadata, about)

    def server_stream(
        self,
        method: str,
        request: Message,
        reply: type[R],
        about: tuple[str, str] = ("object", ""),
        timeout_s: float | None = TIMEOUT_S,
    ) -> Stream[R]:
        return self.transport.server_stream(method, request, reply, self.metadata, about, timeout_s)

    def exchange(self, method: str, reply: type[R], about: tuple[str, str] = ("object", "")) -> Exchange[R]:
        return self.transport.exchange(method, reply, self.metadata, about)

    def bidi(
        self, method: str, requests: Iterator[Message], reply: type[R], about: tuple[str, str] = ("object", "")
    ) -> Stream[R]:
        return self.transport.bidi(method, requests, reply, self.metadata, about)
