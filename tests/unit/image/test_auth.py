"""Challenges and Docker's config.json."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pyctl_hookspecs import PyctlError, UnavailableError
from pyctl_plugins.image._auth import Challenge, Credential, challenges, credential, fetch_token, server_message


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            'Bearer realm="https://a/token",service="s",scope="repository:x:pull,push"',
            [Challenge(scheme="bearer", realm="https://a/token", service="s", scope="repository:x:pull,push")],
        ),
        ('Basic realm="a \\"b\\""', [Challenge(scheme="basic", realm='a "b"')]),
        ("Negotiate, Basic realm=x", [Challenge(scheme="negotiate"), Challenge(scheme="basic", realm="x")]),
        ("", []),
    ],
)
def test_challenges_are_read_in_order(header: str, found: list[Challenge]) -> None:
    assert challenges(header) == found


def login(folder: Path, **config: object) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


ENTRY = {"auth": base64.b64encode(b"me:se:cret").decode()}
ME = Credential(username="me", secret="se:cret")


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("r.example", "r.example"),
        ("https://r.example", "r.example"),
        ("https://r.example/v1/", "r.example"),
        ("r.example:443", "r.example"),
        ("r.example", "r.example:443"),
        ("http://r.example:5000", "r.example:5000"),
        ("https://index.docker.io/v1/", "registry-1.docker.io"),
    ],
)
def test_a_login_is_found_however_it_was_stored(tmp_path: Path, key: str, host: str) -> None:
    assert credential(host, login(tmp_path, auths={key: ENTRY})) == ME


def test_a_login_of_another_registry_is_not_used(tmp_path: Path) -> None:
    assert credential("r.example:5000", login(tmp_path, auths={"r.example": ENTRY, "x.example": ENTRY})) is None


def test_no_file_means_nobody(tmp_path: Path) -> None:
    assert credential("r.example", str(tmp_path)) is None


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(PyctlError, match=r"config\.json"):
        credential("r.example", str(tmp_path))


def test_an_identity_token_is_traded_by_post() -> None:
    sent: list[tuple[str, str, bytes | None]] = []

    def send(method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
        sent.append((method, url, body))
        return 200, b'{"access_token": "t"}'

    challenge = Challenge(scheme="bearer", realm="https://a/token", service="s", scope="repository:x:pull")
    assert fetch_token(challenge, Credential(identity_token="i"), send) == "t"
    ((method, url, body),) = sent
    assert (method, url) == ("POST", "https://a/token")
    assert body is not None
    assert b"grant_type=refresh_token" in body
    assert b"refresh_token=i" in body


def test_an_error_body_is_read_as_docker_shows_it() -> None:
    body = b'{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}'
    assert server_message(body) == "name unknown: repository name not known to registry"
    assert server_message(b"<html>") == ""


def test_an_entry_that_is_no_base64_is_said_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(PyctlError, match=r"config\.json: an auth entry is not valid base64"):
        credential("r.example", login(tmp_path, auths={"r.example": {"auth": "@@@@"}}))


def test_an_entry_may_be_folded(tmp_path: Path) -> None:
    folded = f"{ENTRY['auth'][:6]}\n{ENTRY['auth'][6:]}\n"
    assert credential("r.example", login(tmp_path, auths={"r.example": {"auth": folded}})) == ME


@pytest.mark.parametrize(("status", "body"), [(500, b"oops"), (200, b"hello"), (200, b"{}")])
def test_a_token_server_that_does_not_work_is_no_refusal(status: int, body: bytes) -> None:
    challenge = Challenge(scheme="bearer", realm="https://a/token")
    with pytest.raises(UnavailableError, match="token server https://a/token"):
        fetch_token(challenge, ME, lambda *_: (status, body))
