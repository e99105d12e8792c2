"""Image references: the distribution grammar, Docker's normal form and its familiar form.

    reference := name [":" tag] ["@" digest]      name := host [":" port] "/" component ("/" component)*

Scanned by hand rather than with ``re``: every ``run`` passes here, and importing ``re`` costs more than the scan.
"""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError
from pyctl_hookspecs.records import Record

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdef")
_ANY_HEX = _HEX | frozenset("ABCDEF")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ALNUM = _LETTERS | _DIGITS
_TAG = _ALNUM | frozenset("_.-")
_ENCODED_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
_PATH_LIMIT = 255
_TAG_LIMIT = 128


class Reference(Record):
    """A parsed reference. ``domain`` and ``path`` are never empty; ``tag`` and ``digest`` may be."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository: domain and path, without tag or digest."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as Docker shows it: without ``docker.io/`` and ``library/``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        head, _, rest = self.path.partition("/")
        return rest if head == "library" and rest and "/" not in rest else self.path

    @property
    def familiar(self) -> str:
        """The whole reference as Docker shows it."""
        return self.familiar_name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix()


def parse(text: str) -> Reference:
    """Parse what a person typed; the domain is filled in, a missing tag is not.

    Raises:
        InvalidArgumentError: in Docker's words (``invalid reference format``, ...).
    """
    if is_identifier(text):
        raise InvalidArgumentError(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(text)
    remote = remainder.partition(":")[0]
    if remote.lower() != remote:
        raise InvalidArgumentError(f"invalid reference format: repository name ({remote}) must be lowercase")
    remainder, at, digest = remainder.partition("@")
    path, colon, tag = remainder.partition(":")
    if (
        not _is_domain(domain)
        or not all(_is_component(component) for component in path.split("/"))
        or (colon and not _is_tag(tag))
        or (at and not _is_digest_shape(digest))
    ):
        raise InvalidArgumentError("invalid reference format")
    if len(path) > _PATH_LIMIT:
        raise InvalidArgumentError(f"repository name must not be more than {_PATH_LIMIT} characters")
    if at:
        check_digest(digest)
    return Reference(domain=domain, path=path, tag=tag, digest=digest)


def normalise(text: str) -> Reference:
    """``parse``, made unambiguous: exactly one of tag (``latest`` if none was given) and digest.

    A reference with both is one by digest, as in Docker.
    """
    reference = parse(text)
    if reference.digest:
        return reference.replace(tag="") if reference.tag else reference
    return reference if reference.tag else reference.replace(tag=DEFAULT_TAG)


def familiar(image_ref: str) -> str:
    """The short form of a stored image name; a name that is no reference comes back as it is."""
    try:
        return parse(image_ref).familiar
    except InvalidArgumentError:
        return image_ref


def is_identifier(text: str) -> bool:
    """Is this a full image ID (64 lower-case hexadecimal digits)?"""
    return len(text) == 64 and _HEX.issuperset(text)


def is_digest(text: str) -> bool:
    """Is this a complete digest of an algorithm we can verify?"""
    algorithm, _, encoded = text.partition(":")
    return len(encoded) == _ENCODED_LENGTH.get(algorithm) and _HEX.issuperset(encoded)


def check_digest(digest: str) -> None:
    """Refuse a digest that cannot be verified.

    Raises:
        InvalidArgumentError: unknown algorithm, wrong length or characters.
    """
    if is_digest(digest):
        return
    algorithm, _, encoded = digest.partition(":")
    if not _is_digest_shape(digest):
        raise InvalidArgumentError("invalid checksum digest format")
    if algorithm not in _ENCODED_LENGTH:
        raise InvalidArgumentError("unsupported digest algorithm")
    if len(encoded) != _ENCODED_LENGTH[algorithm]:
        raise InvalidArgumentError("invalid checksum digest length")
    raise InvalidArgumentError("invalid checksum digest format")


def _split_domain(text: str) -> tuple[str, str]:
    head, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, f"library/{text}"
    if head in {DEFAULT_DOMAIN, "index.docker.io"}:
        return DEFAULT_DOMAIN, rest if "/" in rest else f"library/{rest}"
    # No path component may hold a capital, so one in front can only be a host.
    if head == "localhost" or "." in head or ":" in head or head.lower() != head:
        return head, rest
    return DEFAULT_DOMAIN, text


def _is_domain(domain: str) -> bool:
    if domain.startswith("["):
        address, bracket, tail = domain[1:].partition("]")
        if not bracket or not address or not (_ANY_HEX | {":"}).issuperset(address):
            return False
        return not tail or (tail[0] == ":" and _is_port(tail[1:]))
    host, colon, port = domain.partition(":")
    if colon and not _is_port(port):
        return False
    return all(
        label and label[0] != "-" and label[-1] != "-" and _ALNUM.union("-").issuperset(label) for label in host.split(".")
    )


def _is_port(port: str) -> bool:
    return bool(port) and _DIGITS.issuperset(port)


def _is_component(component: str) -> bool:
    if not component or component[0] not in _LOWER or component[-1] not in _LOWER:
        return False
    separator = ""
    for character in component:
        if character not in _LOWER:
            separator += character
            continue
        if separator and separator not in {".", "_", "__"} and separator.strip("-"):
            return False
        separator = ""
    return True


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= _TAG_LIMIT and tag[0] not in ".-" and _TAG.issuperset(tag)


def _is_digest_shape(digest: str) -> bool:
    algorithm, colon, encoded = digest.partition(":")
    for separator in "+.-_":
        algorithm = algorithm.replace(separator, "+")
    return (
        bool(colon)
        and len(encoded) >= 32
        and _ANY_HEX.issuperset(encoded)
        and all(part and part[0] in _LETTERS and _ALNUM.issuperset(part) for part in algorithm.split("+"))
    )
