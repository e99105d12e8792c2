"""``version`` and ``info`` for people."""

from __future__ import annotations

from pyctl.cli.output.system_texts import info_text, object_text, version_text

VERSION = {
    "Client": {"Version": "0.1.0", "ApiVersion": "1.45", "Os": "linux", "Arch": "amd64", "Context": "default"},
    "Server": {
        "Platform": {"Name": ""},
        "Components": [{"Name": "containerd", "Version": "2.1.9", "Details": {"GitCommit": "abc"}}],
        "Version": "2.1.9",
    },
}


def test_version_is_laid_out_as_dockers() -> None:
    assert version_text(VERSION) == (
        "Client:\n"
        " Version:           0.1.0\n"
        " API version:       1.45\n"
        " OS/Arch:           linux/amd64\n"
        " Context:           default\n"
        "\n"
        "Server:\n"
        " containerd:\n"
        "  Version:          2.1.9\n"
        "  GitCommit:        abc\n"
    )


def test_version_without_a_server_is_the_client_alone() -> None:
    assert "Server" not in version_text({"Client": VERSION["Client"], "Server": None})


def test_version_as_json_is_one_object() -> None:
    assert object_text({"Client": {"Version": "1"}, "Server": None}, "json") == '{"Client":{"Version":"1"},"Server":null}\n'
    assert object_text(VERSION, "{{.Server.Version}}") == "2.1.9\n"


def test_info_is_laid_out_as_dockers() -> None:
    text = info_text(
        {
            "ClientInfo": {"Version": "0.1.0", "Debug": False, "Context": "default"},
            "Containers": 2,
            "ContainersRunning": 1,
            "Images": 3,
            "ServerVersion": "2.1.9",
            "Driver": "overlayfs",
            "CgroupVersion": "2",
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
            "NCPU": 2,
            "MemTotal": 4 * 1024**3,
        }
    )
    assert text == (
        "Client:\n"
        " Version:    0.1.0\n"
        " Context:    default\n"
        " Debug Mode: false\n"
        "\n"
        "Server:\n"
        " Containers: 2\n"
        "  Running: 1\n"
        " Images: 3\n"
        " Server Version: 2.1.9\n"
        " Storage Driver: overlayfs\n"
        " Cgroup Version: 2\n"
        " Security Options:\n"
        "  seccomp\n"
        "   Profile: builtin\n"
        "  cgroupns\n"
        " CPUs: 2\n"
        " Total Memory: 4GiB\n"
    )


def test_info_of_a_server_that_does_not_answer_ends_with_the_client() -> None:
    assert info_text({"ServerErrors": ["nobody answers"]}).endswith("\nServer:\n")
