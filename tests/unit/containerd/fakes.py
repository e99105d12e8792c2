"""A transport without a daemon: it remembers what was asked and answers from a table."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pyctl.containerd._api import content_pb2
from pyctl.containerd.calls import Calls
from pyctl.containerd.errors import error_for


class Refusal(Exception):
    """Raised by an answering function: the daemon's status code and text."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class FakeStream:
    """An iterator of answers that stops when cancelled."""

    def __init__(self, answers: Iterator[Any], about: tuple[str, str]) -> None:
        self._answers, self._about = answers, about
        self.cancelled = False

    def __iter__(self) -> FakeStream:
        return self

    def __next__(self) -> Any:
        if self.cancelled:
            raise StopIteration
        try:
            return next(self._answers)
        except Refusal as refusal:
            raise error_for(refusal.code, refusal.detail, kind=self._about[0], ref=self._about[1]) from None

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        self.cancelled = True


class FakeExchange:
    """Answers come from a generator that is given what was sent so far."""

    def __init__(self, answer: Callable[[Any], Any], request: Any, about: tuple[str, str]) -> None:
        self._sent: deque[bytes] = deque()
        self._answers = FakeStream(iter(answer(self._requests(request))), about)

    def _requests(self, request: Any) -> Iterator[Any]:
        while self._sent:
            yield request.FromString(self._sent.popleft())

    def send(self, head: bytes, data: bytes | memoryview = b"") -> None:
        self._sent.append(head + data)

    def receive(self) -> Any:
        return next(self._answers, None)

    def finish(self) -> None:
        assert list(self._answers) == []

    def cancel(self) -> None:
        self._answers.cancel()


class FakeTransport:
    """``answers`` maps the last word of a method to what it answers: a function of the request(s)."""

    address = "/fake.sock"

    def __init__(self, **answers: Callable[[Any], Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []
        self.metadata: tuple[tuple[str, str], ...] = ()
        self.closed = 0

    def calls(self, namespace: str = "test", lease_id: str = "") -> Calls:
        return Calls(self, namespace, lease_id)

    def unary(self, method: str, request: Any, reply: Any, metadata: Any, about: tuple[str, str], timeout_s: Any) -> Any:
        self.asked.append((method, request))
        self.metadata = metadata
        try:
            return self._answer(method)(request)
        except Refusal as refusal:
            raise error_for(refusal.code, refusal.detail, kind=about[0], ref=about[1]) from None

    def start_unary(self, method: str, request: Any, reply: Any, metadata: Any, about: tuple[str, str]) -> Any:
        raise AssertionError(f"no test needs {method} under way")

    def server_stream(self, method: str, request: Any, reply: Any, metadata: Any, about: tuple[str, str], timeout_s: Any) -> Any:
        self.asked.append((method, request))
        self.metadata = metadata
        return FakeStream(iter(self._answer(method)(request)), about)

    def exchange(self, method: str, reply: Any, metadata: Any, about: tuple[str, str]) -> Any:
        self.metadata = metadata
        request = getattr(content_pb2, method.rpartition("/")[2] + "Request")
        return FakeExchange(self._answer(method), request, about)

    def bidi(self, method: str, requests: Iterator[Any], reply: Any, metadata: Any, about: tuple[str, str]) -> Any:
        raise AssertionError(f"no test needs {method}")

    def close(self) -> None:
        self.closed += 1

    def _answer(self, method: str) -> Callable[[Any], Any]:
        return self.answers[method.rpartition("/")[2]]
