"""One repository over all its endpoints: manifests as bytes, blobs streamed into containerd and resumed."""

from __future__ import annotations

from pyctl_hookspecs import ConflictError, Descriptor, NotFoundError, PullProgress, PyctlError, UnavailableError
from pyctl_hookspecs.errors import CancelledError
from pyctl_hookspecs.manifests import INDEX_TYPES, MANIFEST_TYPES
from pyctl_plugins.image._hosts import PULL, RESOLVE
from pyctl_plugins.image._http import RefusedError, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event
    from typing import TypeVar

    from urllib3 import BaseHTTPResponse

    from pyctl_hookspecs import Host
    from pyctl_hookspecs.host import Content, ContentWriter
    from pyctl_hookspecs.references import Reference

    Answer = TypeVar("Answer")

_ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES, "*/*"))
_MANIFEST_LIMIT_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 20
_FRUITLESS_ATTEMPTS = 5
_PAUSE_S = 0.025
_LONG_PAUSE_S = 0.05


class Watch:
    """Whether to go on, and who goes first: shared by the threads of a pull.

    One failure or an interruption anywhere ends them all.
    """

    def __init__(self, host: Host, progress: Callable[[PullProgress], None] | None) -> None:
        from threading import Event, Lock

        self.stop: Event = Event()
        self._host = host
        self._progress = progress
        self._lock = Lock()
        self.first = ""  # the next layer for the unpacker that is still to come; empty: no order
        self.is_ahead = False  # the unpacker is at work, and what it needs next is here

    def give_way(self, digest: str) -> None:
        """Called between a layer's chunks: let the layer go first that the unpacker needs next, and the unpacker itself.

        Unpacking is the longest work of a pull and goes layer by layer. The pauses are short enough for the socket's
        buffer to hide them, unless the line is so fast that the processors are the bottleneck; then they are the point.
        """
        if not self.first:
            return
        if self.is_ahead:
            self.stop.wait(_PAUSE_S)
        elif self.first != digest:
            self.stop.wait(_LONG_PAUSE_S)  # the unpacker has nothing to do until that layer is here

    def check(self) -> None:
        if self._host.cancelled():
            self.stop.set()
        if self.stop.is_set():
            raise CancelledError("interrupted")

    def report(self, blob: Descriptor, kind: str, state: str, done_bytes: int = 0) -> None:
        if self._progress is None:
            return
        event = PullProgress(digest=blob.digest, kind=kind, state=state, done_bytes=done_bytes, total_bytes=blob.size_bytes)
        with self._lock:  # the receiver draws on a terminal and is called from several threads
            self._progress(event)


class Repository:
    """What a reference leads to, asked of its endpoints in order. Safe to share between threads."""

    def __init__(self, reference: Reference, sessions: tuple[Session, ...]) -> None:
        self.reference = reference
        self._sessions = sessions
        self._silent: set[Session] = set()  # asked last from now on: each layer would wait for them again

    def manifest(self, target: str) -> tuple[Descriptor, bytes]:
        """Manifest or index of a tag or digest, with a digest computed from what arrived.

        Raises:
            NotFoundError, UnavailableError, PyctlError: in Docker's words.
        """
        by_digest = ":" in target
        response = self._ask(RESOLVE if not by_digest else PULL, f"manifests/{target}", {"Accept": _ACCEPT})
        try:
            body = response.read(_MANIFEST_LIMIT_BYTES + 1)
        except OSError as error:
            raise UnavailableError(f"registry {self.reference.domain}: the manifest broke off") from error
        finally:
            response.close()
        if len(body) > _MANIFEST_LIMIT_BYTES:
            raise PyctlError(f"manifest of {self.reference.familiar} is larger than {_MANIFEST_LIMIT_BYTES >> 20} MiB")
        digest = _digest_like(target if by_digest else "sha256:", body)
        if by_digest and digest != target:
            raise PyctlError(f"manifest verification failed for digest {target}: got {digest}")
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return Descriptor(media_type=media_type, digest=digest, size_bytes=len(body)), body

    def blob(self, digest: str, offset_bytes: int) -> BaseHTTPResponse:
        """An open response with the blob from ``offset_bytes`` (status 206) or from its beginning (200)."""
        headers = {"Range": f"bytes={offset_bytes}-"} if offset_bytes else {}
        return self._ask(PULL, f"blobs/{digest}", headers)

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _ask(self, capability: str, path: str, headers: dict[str, str]) -> BaseHTTPResponse:
        last: PyctlError | None = None
        for session in sorted(self._sessions, key=self._silent.__contains__):
            if capability not in session.endpoint.capabilities:
                continue
            try:
                return session.get(path, headers)
            except RefusedError as error:
                last = error
            except UnavailableError as error:
                self._silent.add(session)
                last = last if isinstance(last, RefusedError) and last.status in (401, 403) else error
        if isinstance(last, RefusedError):
            raise self._in_dockers_words(last, path) from last
        raise last or UnavailableError(f"no host for {self.reference.domain} may be asked to {capability}")

    def _in_dockers_words(self, refused: RefusedError, path: str) -> PyctlError:
        name, said = self.reference.familiar_name, str(refused)
        if refused.status in (401, 403):
            hint = "pull access denied for {}, repository does not exist or may require 'docker login': {}"
            return PyctlError(hint.format(name, said))
        if refused.status == 404 and said.startswith("name unknown"):
            return NotFoundError("image", name, message=f"repository {name} not found: {said}")
        if refused.status == 404 and path.startswith("manifests/"):
            familiar = self.reference.familiar
            return NotFoundError(
                "image", familiar, message=f"manifest for {familiar} not found: manifest unknown: manifest unknown"
            )
        if refused.status == 404:
            return NotFoundError("blob", path.partition("/")[2], message=f"{path.partition('/')[2]} of {name} not found: {said}")
        if refused.status == 416:
            return _PastTheEndError(said)
        if refused.status == 429 or refused.status >= 500:
            return UnavailableError(f"registry {self.reference.domain}: {said}")
        return PyctlError(f"registry {self.reference.domain}: {said}")


class _PastTheEndError(PyctlError):
    """The registry has no bytes where we wanted to go on."""


def fetch(repository: Repository, content: Content, blob: Descriptor, kind: str, labels: Mapping[str, str], watch: Watch) -> bool:
    """Make a blob complete in containerd; one that is there is only labelled, and the answer is False.

    Goes on where an earlier pull, or a broken connection, stopped.

    Raises:
        PyctlError: not to be had, or its size or digest is wrong.
    """
    watch.check()
    if content.size_bytes(blob.digest) is not None:
        content.label(blob.digest, labels)
        watch.report(blob, kind, "exists", blob.size_bytes)
        return False
    watch.report(blob, kind, "waiting")
    with content.writer(f"{kind}-{blob.digest}", digest=blob.digest, size_bytes=blob.size_bytes) as writer:
        resumed = writer.offset_bytes > 0
        _transfer(repository, writer, blob, kind, watch)
        try:
            writer.commit(labels)
        except ConflictError as error:
            if not resumed:
                raise _not_what_it_says(blob, kind, error) from error
            # Another tool may have begun this ingest with other bytes: once from the start before giving up.
            writer.truncate()
            _transfer(repository, writer, blob, kind, watch)
            try:
                writer.commit(labels)
            except ConflictError as again:
                raise _not_what_it_says(blob, kind, again) from again
    watch.report(blob, kind, "downloaded", blob.size_bytes)
    return True


def _not_what_it_says(blob: Descriptor, kind: str, error: PyctlError) -> PyctlError:
    what = "filesystem layer" if kind == "layer" else kind
    return PyctlError(f"{what} verification failed for digest {blob.digest}: {error}")


def _transfer(repository: Repository, writer: ContentWriter, blob: Descriptor, kind: str, watch: Watch) -> None:
    from urllib3.exceptions import HTTPError

    if writer.offset_bytes > blob.size_bytes:
        writer.truncate()
    fruitless, was_past_the_end = 0, False
    while writer.offset_bytes < blob.size_bytes:
        before = writer.offset_bytes
        cause: BaseException | None = None
        try:
            response = repository.blob(blob.digest, before)
            try:
                _copy(response, writer, blob, kind, watch)
            finally:
                # A body read to its end gave its connection back already; any other must not be used again.
                response.close() if writer.offset_bytes < blob.size_bytes else response.release_conn()
        except _PastTheEndError as error:
            if was_past_the_end:  # begun again and ended as before: that is all there is
                words = f"the registry has {before} of {blob.size_bytes} bytes"
                raise _not_what_it_says(blob, kind, PyctlError(words)) from error
            was_past_the_end = True
            writer.truncate()
        except HTTPError as error:
            cause = error
        fruitless = 0 if writer.offset_bytes > before else fruitless + 1
        if fruitless == _FRUITLESS_ATTEMPTS or (fruitless and watch.stop.wait(0.2 * fruitless)):
            watch.check()
            raise UnavailableError(
                f"{blob.digest} of {repository.reference.familiar_name}: the connection broke {fruitless} times at the same place"
            ) from cause


def _copy(response: BaseHTTPResponse, writer: ContentWriter, blob: Descriptor, kind: str, watch: Watch) -> None:
    skip = 0 if response.status == 206 else writer.offset_bytes
    while chunk := response.read(_CHUNK_BYTES):
        watch.check()
        if skip:  # a server without ranges begins at the beginning
            chunk, skip = chunk[skip:], max(skip - len(chunk), 0)
            if not chunk:
                continue
        if writer.offset_bytes + len(chunk) > blob.size_bytes:
            raise PyctlError(f"{blob.digest}: the registry sends more than the {blob.size_bytes} bytes it announced")
        writer.write(chunk)
        watch.report(blob, kind, "downloading", writer.offset_bytes)
        if kind == "layer":  # without the configuration nobody could begin to unpack
            watch.give_way(blob.digest)


def _digest_like(target: str, body: bytes) -> str:
    import hashlib

    algorithm = target.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def open_repository(
    reference: Reference, *, hosts_dirs: tuple[str, ...], insecure: bool, docker_config_dir: str, connections: int, stop: Event
) -> Repository:
    """The repository with a session for each endpoint; nothing is sent yet."""
    from pyctl_plugins.image import _hosts

    sessions = tuple(
        Session(endpoint, reference.path, docker_config_dir=docker_config_dir, connections=connections, stop=stop)
        for endpoint in _hosts.endpoints(reference.domain, hosts_dirs, insecure=insecure)
    )
    return Repository(reference, sessions)
