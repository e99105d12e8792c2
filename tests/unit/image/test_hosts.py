"""``hosts.toml``, Docker's certificate directories, and which registries may be spoken to in the clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl_hookspecs import InvalidArgumentError
from pyctl_plugins.image._hosts import Endpoint, endpoints, is_configured, is_loopback


def write(folder: Path, name: str, text: str, file: str = "hosts.toml") -> tuple[str, ...]:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / file).write_text(text)
    return (str(folder),)


def test_without_configuration_the_name_is_the_host() -> None:
    assert endpoints("r.example", ()) == (Endpoint(host="r.example"),)


def test_docker_hub_lives_elsewhere() -> None:
    assert endpoints("docker.io", ())[0].host == "registry-1.docker.io"


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000", "x.localhost:1"])
def test_loopback_may_be_spoken_to_in_the_clear(host: str) -> None:
    assert is_loopback(host)
    assert "http" in endpoints(host, ())[0].schemes


@pytest.mark.parametrize("host", ["r.example", "128.0.0.1:5000", "localhost.example", "[2001:db8::1]:5000"])
def test_anybody_else_only_when_configured(host: str) -> None:
    assert endpoints(host, ())[0].schemes == ("https",)
    insecure = endpoints(host, (), insecure=True)[0]
    assert (insecure.schemes, insecure.skip_verify) == (("https", "http"), True)


def test_mirrors_come_in_the_order_of_the_file_and_the_server_last(tmp_path: Path) -> None:
    text = """
    server = "https://up.example"
    [host."https://one.example"]
      capabilities = ["pull"]
    [host."http://two.example:8080/base"]
      skip_verify = true
      [host."http://two.example:8080/base".header]
        x-key = ["a", "b"]
    [host."https://three.example/odd/path"]
      override_path = true
    """
    one, two, three, server = endpoints("r.example", write(tmp_path, "r.example", text))
    assert (one.host, one.capabilities, one.path, one.namespace) == ("one.example", ("pull",), "/v2", "r.example")
    assert (two.host, two.schemes, two.path, two.skip_verify) == ("two.example:8080", ("http",), "/base/v2", True)
    assert two.headers == (("x-key", "a"), ("x-key", "b"))
    assert three.path == "/odd/path"
    assert server.host == "up.example"


def test_the_registry_itself_is_asked_last_when_no_server_is_named(tmp_path: Path) -> None:
    found = endpoints("r.example", write(tmp_path, "r.example", '[host."https://one.example"]'))
    assert [(endpoint.host, endpoint.namespace) for endpoint in found] == [("one.example", "r.example"), ("r.example", "")]


@pytest.mark.parametrize("directory", ["r.example:5000", "r.example_5000_", "_default"])
def test_a_port_may_be_spelled_without_a_colon_and_there_is_a_default(tmp_path: Path, directory: str) -> None:
    assert endpoints("r.example:5000", write(tmp_path, directory, 'server = "https://up.example"'))[0].host == "up.example"


def test_a_directory_that_says_nothing_of_a_registry_is_told_from_one_that_does(tmp_path: Path) -> None:
    (folder,) = write(tmp_path, "r.example_5000_", "")
    assert (is_configured("r.example:5000", folder), is_configured("r.example", folder)) == (True, False)


def test_certificates_are_found_beside_the_file(tmp_path: Path) -> None:
    text = 'ca = "ca.pem"\nclient = [["c.pem", "k.pem"], "both.pem"]\n'
    (found,) = endpoints("localhost:5000", write(tmp_path, "localhost:5000", text))
    folder = f"{tmp_path}/localhost:5000"
    assert found.ca_files == (f"{folder}/ca.pem",)
    assert found.client_certs == ((f"{folder}/c.pem", f"{folder}/k.pem"), (f"{folder}/both.pem", f"{folder}/both.pem"))
    assert found.schemes == ("https",)


def test_dockers_certificate_directories_are_read(tmp_path: Path) -> None:
    for name in ("ca.crt", "client.cert", "client.key"):
        write(tmp_path, "r.example", "", name)
    (found,) = endpoints("r.example", (str(tmp_path),))
    assert found.ca_files == (f"{tmp_path}/r.example/ca.crt",)
    assert found.client_certs == ((f"{tmp_path}/r.example/client.cert", f"{tmp_path}/r.example/client.key"),)


@pytest.mark.parametrize(("there", "missing"), [("client.cert", "client.key"), ("client.key", "client.cert")])
def test_half_a_client_certificate_is_refused(tmp_path: Path, there: str, missing: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"{there}: .*{missing} is missing"):
        endpoints("r.example", write(tmp_path, "r.example", "", there))


@pytest.mark.parametrize(
    "text",
    [
        "server = ",
        "server = 1",
        "host = 1",
        '[host."ftp://x"]',
        '[host."https://"]',
        '[host."https://x"]\ncapabilities = ["fly"]',
        '[host."https://x"]\nca = 1',
        '[host."https://x"]\nclient = [["a", "b", "c"]]',
        '[host."https://x"]\nheader = 1',
        '[host."https://x"]\nclient = 1',
        '[host."https://x"]\nskip_verify = "false"',
        '[host."https://x"]\noverride_path = "no"',
    ],
)
def test_a_file_that_cannot_be_understood_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"hosts\.toml"):
        endpoints("r.example", write(tmp_path, "r.example", text))
