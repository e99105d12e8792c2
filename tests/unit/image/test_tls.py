"""TLS to a registry: verified, with an authority of one's own, or not at all when told so."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctl_hookspecs import ImageRequest, PyctlError, UnavailableError
from pyctl_plugins.image import registry as plugin

if TYPE_CHECKING:
    from conftest import FakeHost, Registry

# A throw-away authority for 127.0.0.1, valid from 2020 to 2120. Its key is no secret.
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbg9JDfYEdjW4pyF0
TQ6xjR+vKZpeRumEdPXSQVub/R6hRANCAARKCCcBl3vFn8OxmopAhu9KgCySOlNN
Y7CA/8dJwRJF2ueoiY7M42O8igvdHX2j4lVzIuHN0lpwHHTe1z8DKEOk
-----END PRIVATE KEY-----
"""
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBYDCCAQagAwIBAgIBATAKBggqhkjOPQQDAjAWMRQwEgYDVQQDDAtweWN0bCB0
ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFjEUMBIGA1UE
AwwLcHljdGwgdGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARKCCcBl3vF
n8OxmopAhu9KgCySOlNNY7CA/8dJwRJF2ueoiY7M42O8igvdHX2j4lVzIuHN0lpw
HHTe1z8DKEOko0MwQTAPBgNVHRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAEw
HQYDVR0OBBYEFPuzA3bF8Z06fYou0nhdAPOXCi1EMAoGCCqGSM49BAMCA0gAMEUC
IQCGAPHsoo2l9yy7c65+8ZFDj9Y6xb56X2BWkO4Rvr5GBgIgIOBpGLTSGQ4CagMC
908PjIASbJ3Pvjh8HrJmzFXLpkM=
-----END CERTIFICATE-----
"""


@pytest.fixture
def secure(registry: Registry, tmp_path: Path) -> Iterator[Registry]:
    """The registry, speaking TLS only."""
    (tmp_path / "pair.pem").write_text(KEY + CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    registry.server.socket = context.wrap_socket(registry.server.socket, server_side=True)
    registry.add_image(b"layer", tags=("1",))
    yield registry


def trust(folder: Path, host: str) -> tuple[str, ...]:
    (folder / host).mkdir()
    (folder / host / "ca.crt").write_text(CERTIFICATE)
    return (str(folder),)


def pull(secure: Registry, host: FakeHost, hosts_dirs: tuple[str, ...] = (), *, insecure: bool = False) -> None:
    request = ImageRequest(
        image_ref=f"{secure.host}/x:1", snapshotter="overlayfs", hosts_dirs=hosts_dirs, insecure_registry=insecure
    )
    plugin.resolve_image(request, "", host)  # type: ignore[arg-type]


def test_a_certificate_of_an_unknown_authority_is_refused(secure: Registry, host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / secure.host).mkdir()
    (tmp_path / secure.host / "hosts.toml").write_text(f'server = "https://{secure.host}"')
    with pytest.raises(UnavailableError, match=r"^registry [0-9.:]+: certificate verify failed: [a-z -]+$"):
        pull(secure, host, (str(tmp_path),))
    assert host.images.names == {}


def test_a_certificate_of_a_known_authority_is_accepted(secure: Registry, host: FakeHost, tmp_path: Path) -> None:
    pull(secure, host, trust(tmp_path, secure.host))
    assert host.images.names


def test_an_insecure_registry_is_not_verified(secure: Registry, host: FakeHost) -> None:
    pull(secure, host, insecure=True)
    assert host.images.names


def test_an_insecure_registry_may_speak_plain_http(registry: Registry, host: FakeHost) -> None:
    registry.add_image(b"layer", tags=("1",))
    pull(registry, host, insecure=True)
    assert host.images.names


def test_a_certificate_that_is_none_is_named(secure: Registry, host: FakeHost, tmp_path: Path) -> None:
    folders = trust(tmp_path, secure.host)
    (tmp_path / secure.host / "ca.crt").write_text("none")
    with pytest.raises(PyctlError, match=rf"cannot use certificate {tmp_path}/.*/ca\.crt: no certificate"):
        pull(secure, host, folders)


def test_plain_http_where_tls_is_wanted_is_said_in_dockers_words(registry: Registry, host: FakeHost, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"server gave HTTP response to HTTPS client$") as caught:
        pull(registry, host, trust(tmp_path, registry.host))
    assert "--insecure-registry" in caught.value.hint
