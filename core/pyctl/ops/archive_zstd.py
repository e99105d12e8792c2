"""Archives compressed with zstd, which ``tarfile`` cannot read: a ``zstd`` beside us takes the compression off."""

from __future__ import annotations

from contextlib import contextmanager, suppress

from pyctl_hookspecs.errors import InvalidArgumentError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK_BYTES = 1 << 20
_VERDICT_S = 2


class Rejoined:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._rest.read(size)
        if size < 0:
            head, self._head = self._head, b""
            return head + self._rest.read()
        head, self._head = self._head[:size], self._head[size:]
        return head


@contextmanager
def plain(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """The stream without zstd around it; one that is not zstd as it is, other compressions included.

    Raises:
        UnsupportedError: it is zstd, and the program is not installed.
        InvalidArgumentError: zstd finds it damaged; raised at the end of the block, in place of what that led to.
    """
    head = stream.read(len(_MAGIC))
    whole: Any = Rejoined(head, stream)
    if head != _MAGIC:
        yield whole
        return
    import subprocess
    import tempfile
    from threading import Thread

    with tempfile.TemporaryFile() as words:
        try:
            process = subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words)
        except OSError as error:
            message = "the archive is compressed with zstd, and there is no program zstd to read it with"
            raise UnsupportedError(message, hint="install zstd, or decompress the archive first") from error
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            # A daemon: it may be stuck in a read of the user's pipe when the other end has failed already.
            Thread(target=_feed, args=(whole, process.stdin), name="zstd", daemon=True).start()
            try:
                yield process.stdout
                while process.stdout.read(_CHUNK_BYTES):  # padding; a closed pipe would look like damage
                    pass
            except BaseException as error:
                process.stdout.close()  # from here on a sound archive ends zstd by SIGPIPE, a damaged one by its own verdict
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_VERDICT_S if isinstance(error, InvalidArgumentError) else 0)
                if process.returncode is not None and process.returncode > 0 and isinstance(error, InvalidArgumentError):
                    raise _damaged(words) from error
                process.kill()
                raise
            if process.wait() != 0:
                raise _damaged(words)


def _feed(source: Rejoined, sink: IO[bytes]) -> None:
    with suppress(OSError, ValueError), sink:  # zstd ended early: its exit status says why
        while chunk := source.read(_CHUNK_BYTES):
            sink.write(chunk)


def _damaged(words: IO[bytes]) -> InvalidArgumentError:
    words.seek(0)
    said = " ".join(words.read().decode("utf-8", "replace").replace("/*stdin*\\", "").split()).strip(" :")
    return InvalidArgumentError(f"not an image archive: {said}")
