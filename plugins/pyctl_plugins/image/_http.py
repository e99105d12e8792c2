"""One registry endpoint over HTTP: connections, TLS, authorisation, redirects and retries."""

from __future__ import annotations

from pyctl_hookspecs import PyctlError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Event
    from typing import Any

    from urllib3 import BaseHTTPResponse, PoolManager

    from pyctl_plugins.image._auth import Challenge
    from pyctl_plugins.image._hosts import Endpoint

_CONNECT_TIMEOUT_S = 15
_READ_TIMEOUT_S = 60
_RETRY_DELAYS_S = (0.2, 0.6, 1.5)
_LONGEST_WAIT_S = 30
_BODY_LIMIT_BYTES = 8 << 20
_REDIRECTS = 6


class RefusedError(PyctlError):
    """The registry answered, and the answer is no. ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Session:
    """Requests to one endpoint for one repository. Safe to share between threads."""

    def __init__(self, endpoint: Endpoint, repository: str, *, docker_config_dir: str, connections: int, stop: Event) -> None:
        from threading import Lock

        self.endpoint = endpoint
        self._repository = repository
        self._docker_config_dir = docker_config_dir
        self._stop = stop
        self._connections = connections
        self._pools: dict[str, PoolManager] = {}
        self._scheme = endpoint.schemes[0] if len(endpoint.schemes) == 1 else ""
        self._authorization = ""
        self._lock = Lock()
        self._lock_pools = Lock()

    def get(self, path: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """An open response of status 200 or 206 below ``/v2/<repository>/``; close or drain it.

        Raises:
            RefusedError: any other final status, and refused credentials.
            UnavailableError: nobody answered, after retries.
        """
        suffix = f"{self.endpoint.path}/{self._repository}/{path}"
        if self.endpoint.namespace:
            suffix += f"?ns={self.endpoint.namespace}"
        merged = {"Accept-Encoding": "identity", **dict(self.endpoint.headers), **headers}
        response = self._authorised(suffix, merged)
        if response.status not in (200, 206):
            raise _refusal(response)
        return response

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    def _authorised(self, suffix: str, headers: dict[str, str]) -> BaseHTTPResponse:
        for attempt in (1, 2):
            used = self._authorization
            sent = {**headers, "Authorization": used} if used else headers
            response = self._reached(suffix, sent)
            if response.status != 401 or attempt == 2:
                break
            body = _drain(response)
            if not self._renew(response.headers.get("WWW-Authenticate", ""), used):
                raise RefusedError(401, _message(body) or "no basic auth credentials")
        return response

    def _renew(self, header: str, used: str) -> bool:
        """Get a new authorisation unless another thread has done so since ``used``; False if there is no way."""
        from pyctl_plugins.image import _auth

        with self._lock:
            if self._authorization != used:
                return True
            found = None
            for challenge in _auth.challenges(header):
                if challenge.scheme not in {"bearer", "basic"}:
                    continue
                host = self.endpoint.host
                found = found or _auth.credential(host, self._docker_config_dir)
                if challenge.scheme == "basic":
                    if found is None or not found.username:
                        continue
                    self._authorization = _auth.basic(found)
                    return self._authorization != used
                if found is not None and not self._may_show_secrets_to(challenge):
                    raise PyctlError(f"{host} wants credentials sent in the clear to {challenge.realm}")
                asked = challenge if challenge.scope else challenge.replace(scope=f"repository:{self._repository}:pull")
                try:
                    token = _auth.fetch_token(asked, found, self._send_to_realm)
                except UnavailableError:
                    raise
                except PyctlError as error:
                    raise RefusedError(401, str(error)) from error
                self._authorization = f"Bearer {token}"
                return True
        return False

    def _may_show_secrets_to(self, challenge: Challenge) -> bool:
        from pyctl_plugins.image._hosts import is_loopback

        scheme, _, rest = challenge.realm.partition("://")
        return scheme == "https" or is_loopback(rest.partition("/")[0]) or self._scheme == "http"

    def _send_to_realm(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
        response = self._retried(method, url, headers, body)
        return response.status, _drain(response)

    def _reached(self, suffix: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """Send with the endpoint's scheme; the first answer that makes sense settles which one that is."""
        if self._scheme:
            return self._retried("GET", f"{self._scheme}://{self.endpoint.host}{suffix}", headers)
        first: UnavailableError | None = None
        for scheme in self.endpoint.schemes:
            try:
                response = self._followed("GET", f"{scheme}://{self.endpoint.host}{suffix}", headers)
            except UnavailableError as error:
                first = first or error
                continue
            if response.status == 400 and scheme == "http":
                body = _drain(response)
                if b"HTTPS" in body:  # what web servers say when spoken to without TLS
                    continue
                raise RefusedError(400, _message(body) or "bad request")
            self._scheme = scheme
            if response.status < 500 and response.status != 429:
                return response
            _drain(response)
            return self._retried("GET", f"{scheme}://{self.endpoint.host}{suffix}", headers)
        raise first or UnavailableError(f"registry {self.endpoint.host} did not answer")

    def _retried(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> BaseHTTPResponse:
        for delay_s in (*_RETRY_DELAYS_S, None):
            try:
                response = self._followed(method, url, headers, body)
            except _TransientError as error:
                if delay_s is None or self._stop.wait(delay_s):
                    raise UnavailableError(str(error)) from error
                continue
            if delay_s is None or (response.status < 500 and response.status != 429):
                return response
            wait_s = _retry_after_s(response, delay_s)
            _drain(response)
            if self._stop.wait(wait_s):
                raise UnavailableError(f"registry {self.endpoint.host}: gave up")
        raise UnavailableError(f"registry {self.endpoint.host} did not answer")

    def _followed(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> BaseHTTPResponse:
        from urllib.parse import urljoin, urlsplit

        for _ in range(_REDIRECTS):
            response = self._once(method, url, headers, body)
            location = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return response
            _drain(response)
            target = urljoin(url, location)
            old, new = urlsplit(url), urlsplit(target)
            if new.scheme not in {"http", "https"} or (old.scheme == "https" and new.scheme == "http"):
                raise PyctlError(f"registry {self.endpoint.host} redirects to {new.scheme}://{new.netloc}, which is not safe")
            if (old.scheme, old.netloc) != (new.scheme, new.netloc):
                # A blob store must not see our token, and signed URLs refuse requests that carry one.
                ours = {"authorization", *(name.lower() for name, _ in self.endpoint.headers)}
                headers = {name: value for name, value in headers.items() if name.lower() not in ours}
            url = target
        raise UnavailableError(f"registry {self.endpoint.host}: too many redirects")

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> BaseHTTPResponse:
        from urllib3 import exceptions

        host = self.endpoint.host
        try:
            return self._pool(url).request(
                method,
                url,
                headers=headers,
                body=body,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except exceptions.SSLError as error:
            raise _tls_error(host, _reason(error)) from error
        except (exceptions.NameResolutionError, exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as error:
            raise UnavailableError(f"registry {host} did not answer: {_reason(error)}") from error
        except (exceptions.HTTPError, OSError) as error:
            raise _TransientError(f"registry {host} did not answer: {_reason(error)}") from error

    def _pool(self, url: str) -> PoolManager:
        scheme = url.partition(":")[0]
        with self._lock_pools:
            if scheme not in self._pools:
                self._pools[scheme] = _pool(self.endpoint, self._connections, scheme)
            return self._pools[scheme]


class _TransientError(UnavailableError):
    """A connection that broke or stalled: the next one may work."""


def _pool(endpoint: Endpoint, connections: int, scheme: str) -> PoolManager:
    import urllib3

    timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S)
    options: dict[str, Any] = {"maxsize": connections, "timeout": timeout, "headers": {"User-Agent": "pyctl"}}
    if scheme == "https":  # reading the system's authorities takes 25-45 ms
        options["ssl_context"] = _tls(endpoint)
        if endpoint.skip_verify:
            options.update(cert_reqs="CERT_NONE", assert_hostname=False)
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    proxy = _proxy(endpoint, scheme)
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _tls(endpoint: Endpoint) -> Any:
    import ssl

    context = ssl.create_default_context()
    file = ""
    try:
        for file in endpoint.ca_files:
            context.load_verify_locations(cafile=file)
        for file, key in endpoint.client_certs:
            context.load_cert_chain(file, key)
    except OSError as error:  # which ssl's errors are too
        reason = _without_openssl(error.strerror or str(error))
        raise PyctlError(f"registry {endpoint.host}: cannot use certificate {file}: {reason}") from error
    if endpoint.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(endpoint: Endpoint, scheme: str) -> str:
    import os

    from pyctl_plugins.image._hosts import is_loopback

    if is_loopback(endpoint.host) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return ""
    from urllib.request import getproxies_environment, proxy_bypass  # 20 ms: only behind a proxy

    if proxy_bypass(endpoint.host):
        return ""
    proxy = getproxies_environment().get(scheme, "")
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _drain(response: BaseHTTPResponse) -> bytes:
    """The body, bounded, with the connection given back."""
    from urllib3.exceptions import HTTPError

    try:
        body = response.read(_BODY_LIMIT_BYTES, decode_content=True)
    except (HTTPError, OSError):
        body = b""
    response.close() if len(body) == _BODY_LIMIT_BYTES else response.release_conn()
    return body


def _refusal(response: BaseHTTPResponse) -> RefusedError:
    body = _drain(response)
    if response.status == 400 and b"HTTPS" in body:  # what web servers say when spoken to without TLS
        return RefusedError(400, "client sent an HTTP request to an HTTPS server")
    return RefusedError(response.status, _message(body) or f"registry answered {response.status}")


def _message(body: bytes) -> str:
    from pyctl_plugins.image._auth import server_message

    return server_message(body)


def _retry_after_s(response: BaseHTTPResponse, otherwise_s: float) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isdigit() else otherwise_s


def _reason(error: BaseException) -> str:
    """The innermost cause, without urllib3's object addresses."""
    from urllib3.exceptions import HTTPError

    while isinstance(error, HTTPError) and error.__cause__ is not None:
        error = error.__cause__
    text = _without_openssl(getattr(error, "strerror", None) or str(error))
    return text.rpartition(": ")[2] if "object at 0x" in text else text


def _without_openssl(text: str) -> str:
    """``[SSL: CODE] words (_ssl.c:1006)`` as the words alone."""
    code, bracket, words = text.partition("] ")
    text = words if bracket and code.startswith("[") else text
    return text.partition(" (_ssl.c")[0]


def _tls_error(host: str, reason: str) -> UnavailableError:
    if reason in {"wrong version number", "record layer failure"}:  # OpenSSL's words for an answer without TLS
        hint = "--insecure-registry, or a hosts.toml with an http:// address, allows plain http"
        return UnavailableError(f"registry {host}: server gave HTTP response to HTTPS client", hint=hint)
    return UnavailableError(f"registry {host}: {reason}")
