"""Settings: flag over environment over file over default."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.cli.config import load_settings
from pyctl.cli.global_options import GlobalOptions
from pyctl.ops.settings import Settings
from pyctl_hookspecs.errors import InvalidArgumentError, UnsupportedError
from pyctl_hookspecs.privilege import Layout


def layout(*config_paths: str) -> Layout:
    return Layout(
        mode="rootful",
        data_root="/var/lib/nerdctl",
        runtime_dir="/run/pyctl",
        config_paths=config_paths,
        netconf_path="/etc/cni/net.d",
        cni_paths=("/opt/cni/bin",),
        hosts_dirs=("/etc/containerd/certs.d",),
        default_address="/run/containerd/containerd.sock",
        cgroup_manager="cgroupfs",
    )


def load(flags: GlobalOptions | None = None, environ: dict[str, str] | None = None, *paths: str) -> Settings:
    return load_settings(flags or GlobalOptions(), environ or {}, layout(*paths))


def write(tmp_path: Path, text: str, name: str = "pyctl.toml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_without_anything_the_layout_decides() -> None:
    settings = load()
    assert settings.address == "/run/containerd/containerd.sock"
    assert not settings.is_address_explicit
    assert (settings.namespace, settings.snapshotter, settings.image_provider) == ("default", "overlayfs", "registry")
    assert settings.hosts_dirs == ("/etc/containerd/certs.d",)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'namespace = "file"\n')
    assert load(None, {}, path).namespace == "file"
    assert load(None, {"CONTAINERD_NAMESPACE": "env"}, path).namespace == "env"
    assert load(GlobalOptions(namespace="flag"), {"CONTAINERD_NAMESPACE": "env"}, path).namespace == "flag"


def test_an_empty_environment_variable_says_nothing() -> None:
    assert load(None, {"CONTAINERD_SNAPSHOTTER": ""}).snapshotter == "overlayfs"


def test_a_false_flag_wins_over_a_true_file(tmp_path: Path) -> None:
    path = write(tmp_path, "insecure_registry = true\n")
    assert load(None, {}, path).insecure_registry
    assert not load(GlobalOptions(insecure_registry=False), {}, path).insecure_registry


def test_a_named_address_is_explicit_and_loses_its_scheme() -> None:
    settings = load(GlobalOptions(address="unix:///tmp/c.sock"))
    assert (settings.address, settings.is_address_explicit) == ("/tmp/c.sock", True)
    assert load(None, {"CONTAINERD_ADDRESS": "/tmp/d.sock"}).is_address_explicit


def test_another_scheme_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r'invalid address "tcp://h:1"'):
        load(GlobalOptions(address="tcp://h:1"))


@pytest.mark.parametrize("name", ["", "a/b", "..", "a..b", "-a", "x" * 77])
def test_a_malformed_namespace_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid namespace"):
        load(GlobalOptions(namespace=name))


def test_the_first_file_that_exists_is_read(tmp_path: Path) -> None:
    second = write(tmp_path, 'namespace = "second"\n', "nerdctl.toml")
    settings = load(None, {}, str(tmp_path / "missing.toml"), second)
    assert (settings.namespace, settings.config_path) == ("second", second)


def test_nerdctl_toml_takes_the_place_of_nerdctls_file(tmp_path: Path) -> None:
    other = write(tmp_path, 'namespace = "other"\n', "other.toml")
    assert load(None, {"NERDCTL_TOML": other}, "/nonexistent/pyctl.toml", "/nonexistent/nerdctl.toml").namespace == "other"


def test_pyctl_toml_takes_the_place_of_every_file_and_must_exist(tmp_path: Path) -> None:
    other = write(tmp_path, 'namespace = "other"\n', "other.toml")
    ignored = write(tmp_path, 'namespace = "ignored"\n')
    assert load(None, {"PYCTL_TOML": other}, ignored).namespace == "other"
    with pytest.raises(InvalidArgumentError, match="No such file"):
        load(None, {"PYCTL_TOML": str(tmp_path / "typo.toml")}, ignored)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('namspace = "x"\n', 'unknown key "namspace"'),
        ("debug = 1\n", "debug must be true or false"),
        ('hosts_dir = "/x"\n', "hosts_dir must be a list of strings"),
        ('[image]\nprovidr = "x"\n', 'unknown key "image.providr"'),
        ('[network]\nengin = "cni"\n', 'unknown key "network.engin"'),
        ('[network]\ndns = "unbound"\n', "network.dns must be hosts or resolver"),
        ('[plugins]\nnetwrok.bridge = "x"\n', 'unknown key "plugins.netwrok"'),
        ("[plugins]\ndisabled = 1\n", "plugins.disabled must be a list of strings"),
        ("debug = \n", "Invalid value"),
        ('cgroup_manager = "none-such"\n', "must be systemd, cgroupfs or none"),
    ],
)
def test_a_wrong_file_is_refused_and_the_key_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        load(None, {}, write(tmp_path, text))
    assert message in str(caught.value)


def test_an_unknown_key_suggests_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        load(None, {}, write(tmp_path, 'namspace = "x"\n'))
    assert caught.value.hint == "Did you mean namespace?"


def test_a_key_that_cannot_be_honoured_yet_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="selinux_enabled is not supported yet"):
        load(None, {}, write(tmp_path, "selinux_enabled = true\n"))


def test_plugin_choices_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, '[plugins]\ndisabled = ["acme-x"]\nnetwork.bridge = "acme-net"\n[image]\nprovider = "transfer"\n')
    settings = load(None, {"PYCTL_PLUGINS_OFF": "1"}, path)
    assert settings.plugin_choices == (("network.bridge", "acme-net"),)
    assert settings.plugins_disabled == ("acme-x",)
    assert settings.image_provider == "transfer"
    assert settings.plugins_off
