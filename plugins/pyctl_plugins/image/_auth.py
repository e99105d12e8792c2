"""Who we are to a registry: Docker's ``config.json``, credential helpers, basic and token authentication."""

from __future__ import annotations

from pyctl_hookspecs import PyctlError, Record, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = frozenset(("docker.io", "registry-1.docker.io", "index.docker.io"))
_HELPER_TIMEOUT_S = 60


class Credential(Record):
    """A user and a secret, or an identity token to trade for access tokens."""

    username: str = ""
    secret: str = ""
    identity_token: str = ""


class Challenge(Record):
    """One entry of a ``WWW-Authenticate`` header; ``scheme`` is lower case."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def credential(host: str, docker_config_dir: str) -> Credential | None:
    """What ``docker login`` stored for ``host[:port]``, from a helper or from the file; None when there is nothing.

    Raises:
        PyctlError: the file cannot be read, or a configured helper is missing or fails.
    """
    config = _load_config(docker_config_dir)
    key = _HUB_KEY if host in _HUB_HOSTS else host
    helper = _table(config, "credHelpers").get(key) or _table(config, "credHelpers").get(host)
    helper = helper or config.get("credsStore")
    if isinstance(helper, str) and helper:
        found = _ask_helper(helper, key)
        if found is not None:
            return found
    return _from_auths(_table(config, "auths"), key)


def challenges(header: str) -> list[Challenge]:
    """The challenges of a ``WWW-Authenticate`` header, in order."""
    import re

    found: list[Challenge] = []
    scheme, fields = "", {}  # type: str, dict[str, str]
    # A word before "=" is a parameter, a word on its own begins the next challenge.
    for match in re.finditer(r'([A-Za-z0-9_.~+-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?', header):
        word, quoted, bare = match.groups()
        if quoted is None and bare is None:
            if scheme:
                found.append(_challenge(scheme, fields))
            scheme, fields = word.lower(), {}
        else:
            fields[word.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
    if scheme:
        found.append(_challenge(scheme, fields))
    return found


def basic(found: Credential) -> str:
    """The value of an ``Authorization`` header."""
    from base64 import b64encode

    return "Basic " + b64encode(f"{found.username}:{found.secret}".encode()).decode()


def fetch_token(
    challenge: Challenge, found: Credential | None, send: Callable[[str, str, dict[str, str], bytes | None], tuple[int, bytes]]
) -> str:
    """Trade a challenge, and a credential if there is one, for a bearer token; a 401 says when it has expired.

    ``send(method, url, headers, body)`` returns status and body.

    Raises:
        PyctlError: refused; the message is the server's.
        UnavailableError: it gave no answer that decides anything; safe to try again.
    """
    from json import loads
    from urllib.parse import urlencode

    query = [("service", challenge.service)] if challenge.service else []
    scopes = [("scope", scope) for scope in challenge.scope.split(" ") if scope]
    if found is not None and found.identity_token:
        form = [
            ("grant_type", "refresh_token"),
            ("client_id", "pyctl"),
            ("refresh_token", found.identity_token),
            *query,
            ("scope", challenge.scope),
        ]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, body = send("POST", challenge.realm, headers, urlencode(form).encode())
    else:
        headers = {"Authorization": basic(found)} if found is not None else {}
        mark = "&" if "?" in challenge.realm else "?"
        url = challenge.realm + mark + urlencode([*query, *scopes])
        status, body = send("GET", url, headers, None)
    if status >= 500 or status == 429:
        raise UnavailableError(f"token server {challenge.realm} answered {status}")
    if status != 200:
        raise PyctlError(server_message(body) or f"{challenge.realm} answered {status}")
    try:
        answer = loads(body)
        value = answer.get("token") or answer.get("access_token") or ""
    except (ValueError, AttributeError, TypeError) as error:
        raise UnavailableError(f"token server {challenge.realm} answered with something that is no token") from error
    if not value:
        raise UnavailableError(f"token server {challenge.realm} sent no token")
    return str(value)


def server_message(body: bytes) -> str:
    """Docker's rendering of a registry's error body (``denied: requested access ...``), or nothing."""
    from json import loads

    try:
        answer = loads(body)
        errors = answer.get("errors") or []
        code, text = str(errors[0].get("code", "")), str(errors[0].get("message", ""))
    except (ValueError, AttributeError, IndexError, KeyError, TypeError):
        return ""
    code = code.lower().replace("_", " ")
    return ": ".join(filter(None, (code, text)))


def _challenge(scheme: str, fields: dict[str, str]) -> Challenge:
    return Challenge(
        scheme=scheme, realm=fields.get("realm", ""), service=fields.get("service", ""), scope=fields.get("scope", "")
    )


def _load_config(docker_config_dir: str) -> dict[str, Any]:
    import os
    from json import load

    directory = docker_config_dir or os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    file = os.path.join(directory, "config.json")
    try:
        with open(file, encoding="utf-8") as stream:
            config = load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise PyctlError(f"{file}: {error}") from error
    return config if isinstance(config, dict) else {}


def _table(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _ask_helper(helper: str, key: str) -> Credential | None:
    import subprocess
    from json import loads

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=key.encode(), capture_output=True, timeout=_HELPER_TIMEOUT_S, check=False)
    except FileNotFoundError as error:
        raise _helper_error(program, "executable file not found in $PATH") from error
    except OSError as error:
        raise _helper_error(program, error.strerror or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise _helper_error(program, f"no answer within {_HELPER_TIMEOUT_S} seconds") from error
    said = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode != 0:
        if "credentials not found" in said:
            return None
        said = said or done.stderr.decode("utf-8", "replace") or f"exit status {done.returncode}"
        raise _helper_error(program, " ".join(said.split()))
    try:
        answer = loads(said)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise _helper_error(program, "an answer without Username and Secret") from error
    if username == "<token>":
        return Credential(identity_token=secret)
    return Credential(username=username, secret=secret) if username or secret else None


def _helper_error(program: str, reason: str) -> PyctlError:
    return PyctlError(f"credential helper {program}: {reason}", hint="see credsStore and credHelpers in config.json")


def _from_auths(auths: dict[str, Any], key: str) -> Credential | None:
    wanted = _hostname(key)
    exact = [key, f"https://{key}", f"http://{key}"]
    for name in [*exact, *(name for name in auths if _hostname(name) == wanted)]:
        entry = auths.get(name)
        found = _from_entry(entry) if isinstance(entry, dict) else None
        if found is not None:
            return found
    return None


def _from_entry(entry: dict[str, Any]) -> Credential | None:
    from base64 import b64decode

    if entry.get("identitytoken"):
        return Credential(identity_token=str(entry["identitytoken"]))
    if entry.get("auth"):
        try:
            packed = "".join(str(entry["auth"]).split())
            username, colon, secret = b64decode(packed, validate=True).decode().partition(":")
        except ValueError as error:
            raise PyctlError("config.json: an auth entry is not valid base64") from error
        if colon:
            return Credential(username=username, secret=secret.rstrip("\0"))
    if entry.get("username"):
        return Credential(username=str(entry["username"]), secret=str(entry.get("password", "")))
    return None


def _hostname(key: str) -> str:
    host = key.partition("://")[2] or key
    host = host.partition("/")[0]
    return host[:-4] if host.endswith(":443") else host
