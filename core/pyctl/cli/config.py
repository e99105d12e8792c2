"""Settings of one process: flag over environment over file over default."""

from __future__ import annotations

import os

from pyctl.ops.settings import Settings
from pyctl_hookspecs.errors import InvalidArgumentError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.cli.global_options import GlobalOptions
    from pyctl_hookspecs.privilege import Layout

# Every key of the file with the type of its value; nerdctl's keys, then tables of our own.
_KEYS: dict[str, type] = {
    "debug": bool,
    "debug_full": bool,
    "address": str,
    "namespace": str,
    "snapshotter": str,
    "cni_path": str,
    "cni_netconfpath": str,
    "data_root": str,
    "cgroup_manager": str,
    "insecure_registry": bool,
    "hosts_dir": list,
    "experimental": bool,
    "host_gateway_ip": str,
    "bridge_ip": str,
    "kube_hide_dupe": bool,
    "selinux_enabled": bool,
    "cdi_spec_dirs": list,
    "userns_remap": str,
    "dns": list,
    "dns_opts": list,
    "dns_search": list,
    "disable_hc_systemd": bool,  # we never make systemd timers, so either value is honoured
    "errors": str,
    "plugins": dict,
    "image": dict,
    "network": dict,
}
_NOT_YET = ("kube_hide_dupe", "selinux_enabled", "userns_remap")
_IMAGE_KEYS: dict[str, type] = {"provider": str, "parallel_layers": int}
_NETWORK_KEYS: dict[str, type] = {"engine": str, "dns": str}
_NETWORK_VALUES = {"engine": ("auto", "cni"), "dns": ("hosts", "resolver")}
_WORDS: dict[Any, str] = {
    bool: "true or false",
    str: "a string",
    list: "a list of strings",
    dict: "a table",
    int: "a whole number",
}


def load_settings(flags: GlobalOptions, environ: Mapping[str, str], layout: Layout) -> Settings:
    """Decide every setting.

    Raises:
        InvalidArgumentError: a malformed value or file, or an unknown key, named with the file.
        UnsupportedError: a key that is known but cannot be honoured yet.
    """
    path, file = _read_file(environ, layout)
    address, is_explicit = _address(flags, environ, file, layout)
    choices, disabled = _plugins(file.get("plugins", {}), path)
    image = file.get("image", {})
    network = file.get("network", {})
    manager = _pick(flags.cgroup_manager, None, file.get("cgroup_manager"), layout.cgroup_manager)
    if manager not in ("systemd", "cgroupfs", "none"):
        raise InvalidArgumentError(f'invalid cgroup-manager "{manager}": must be systemd, cgroupfs or none', exit_code=125)
    errors_format = _pick(flags.errors, environ.get("PYCTL_ERRORS"), file.get("errors"), "text")
    if errors_format not in ("text", "json"):
        raise InvalidArgumentError(f'invalid errors format "{errors_format}": must be text or json', exit_code=125)
    cni_path = _pick(flags.cni_path, environ.get("CNI_PATH"), file.get("cni_path"), "")
    return Settings(
        mode=layout.mode,
        address=address,
        is_address_explicit=is_explicit,
        namespace=_namespace(_pick(flags.namespace, environ.get("CONTAINERD_NAMESPACE"), file.get("namespace"), "default")),
        data_root=_absolute("data-root", _pick(flags.data_root, None, file.get("data_root"), layout.data_root)),
        runtime_dir=layout.runtime_dir,
        snapshotter=_pick(flags.snapshotter, environ.get("CONTAINERD_SNAPSHOTTER"), file.get("snapshotter"), "overlayfs"),
        cni_paths=tuple(os.path.abspath(p) for p in cni_path.split(":") if p) or layout.cni_paths,
        cni_netconfpath=_absolute(
            "cni-netconfpath",
            _pick(flags.cni_netconfpath, environ.get("NETCONFPATH"), file.get("cni_netconfpath"), layout.netconf_path),
        ),
        cgroup_manager=manager,
        hosts_dirs=flags.hosts_dir or tuple(file.get("hosts_dir", ())) or layout.hosts_dirs,
        docker_config_dir=_pick(flags.config, environ.get("DOCKER_CONFIG"), None, ""),
        insecure_registry=_pick_bool(flags.insecure_registry, file.get("insecure_registry"), False),
        image_provider=image.get("provider", "registry"),
        parallel_layers=image.get("parallel_layers", 3),
        network_engine=network.get("engine", "auto"),
        network_dns=network.get("dns", "hosts"),
        experimental=_pick_bool(flags.experimental, _env_bool(environ, "NERDCTL_EXPERIMENTAL", file.get("experimental")), True),
        bridge_ip=_pick(flags.bridge_ip, environ.get("NERDCTL_BRIDGE_IP"), file.get("bridge_ip"), ""),
        host_gateway_ip=_pick(flags.host_gateway_ip, environ.get("NERDCTL_HOST_GATEWAY_IP"), file.get("host_gateway_ip"), ""),
        dns=flags.global_dns or tuple(file.get("dns", ())),
        dns_opts=flags.global_dns_opts or tuple(file.get("dns_opts", ())),
        dns_search=flags.global_dns_search or tuple(file.get("dns_search", ())),
        cdi_spec_dirs=flags.cdi_spec_dirs or tuple(file.get("cdi_spec_dirs", ())) or Settings.cdi_spec_dirs,
        plugin_choices=choices,
        plugins_disabled=disabled,
        plugins_off=environ.get("PYCTL_PLUGINS_OFF", "") not in ("", "0"),
        debug=_pick_bool(flags.debug, file.get("debug"), False),
        debug_full=_pick_bool(flags.debug_full, file.get("debug_full"), False),
        errors_format=errors_format,
        config_path=path,
    )


def _pick(flag: str | None, environment: str | None, file: Any, default: str) -> str:
    """The first that says something; an empty environment variable says nothing, an empty flag does."""
    if flag is not None:
        return flag
    if environment:
        return environment
    return default if file is None else str(file)


def _pick_bool(flag: bool | None, file: Any, default: bool) -> bool:
    if flag is not None:
        return flag
    return default if file is None else bool(file)


def _env_bool(environ: Mapping[str, str], name: str, otherwise: Any) -> Any:
    from pyctl.cli.flags import FALSE, TRUE

    text = environ.get(name)
    if not text:
        return otherwise
    if text not in TRUE | FALSE:
        raise InvalidArgumentError(f'invalid value "{text}" for {name}: not a boolean', exit_code=125)
    return text in TRUE


def _address(flags: GlobalOptions, environ: Mapping[str, str], file: Mapping[str, Any], layout: Layout) -> tuple[str, bool]:
    named = _pick(flags.address, environ.get("CONTAINERD_ADDRESS"), file.get("address"), "")
    text = named.removeprefix("unix://")
    if "://" in text:
        raise InvalidArgumentError(
            f'invalid address "{named}": only unix:// is supported', hint="containerd listens on a Unix socket", exit_code=125
        )
    if not text:
        return layout.default_address, False
    return _absolute("address", text), True


def _absolute(name: str, path: str) -> str:
    if not path:
        raise InvalidArgumentError(f"{name} must not be empty", exit_code=125)
    return os.path.abspath(path)


def _namespace(name: str) -> str:
    """containerd's identifier rule, checked here because a namespace becomes part of paths."""
    body = name.replace("-", ".").replace("_", ".").split(".")
    if len(name) > 76 or not all(part.isascii() and part.isalnum() for part in body):
        raise InvalidArgumentError(
            f'invalid namespace "{name}": must be letters and digits, parted by single ".", "_" or "-"', exit_code=125
        )
    return name


def _read_file(environ: Mapping[str, str], layout: Layout) -> tuple[str, dict[str, Any]]:
    named = environ.get("PYCTL_TOML", "")
    nerdctl = environ.get("NERDCTL_TOML", "")
    for path in (named,) if named else layout.config_paths:
        if nerdctl and not named and path.endswith("nerdctl.toml"):
            path = nerdctl  # noqa: PLW2901
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not named:
                continue
            raise InvalidArgumentError(f"failed to load pyctl config from {path}: {error.strerror}", exit_code=125) from error
        return path, _parse(path, data)
    return "", {}


def _parse(path: str, data: bytes) -> dict[str, Any]:
    import tomllib  # 10 ms, and most hosts have no file

    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"failed to load pyctl config from {path}: {error}", exit_code=125) from error
    _check_keys(path, "", values, _KEYS)
    _check_keys(path, "image.", values.get("image", {}), _IMAGE_KEYS)
    network = values.get("network", {})
    _check_keys(path, "network.", network, _NETWORK_KEYS)
    for key, value in network.items():
        if value not in _NETWORK_VALUES[key]:
            allowed = " or ".join(_NETWORK_VALUES[key])
            raise InvalidArgumentError(f"failed to load pyctl config from {path}: network.{key} must be {allowed}", exit_code=125)
    for key in _NOT_YET:
        if values.get(key):
            raise UnsupportedError(f"{path}: {key} is not supported yet", exit_code=125)
    return values


def _check_keys(path: str, prefix: str, values: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    for key, value in values.items():
        kind = keys.get(key)
        if kind is None:
            from difflib import get_close_matches  # only when already failing

            near = get_close_matches(key, keys, 1)
            hint = f"Did you mean {prefix}{near[0]}?" if near else ""
            raise InvalidArgumentError(
                f'failed to load pyctl config from {path}: unknown key "{prefix}{key}"', hint=hint, exit_code=125
            )
        if type(value) is not kind or (kind is list and not all(isinstance(item, str) for item in value)):
            raise InvalidArgumentError(
                f"failed to load pyctl config from {path}: {prefix}{key} must be {_WORDS[kind]}", exit_code=125
            )


def _plugins(table: Mapping[str, Any], path: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """``[plugins]``: ``disabled`` distributions, and ``kind.name = "distribution"`` where a claim must be settled."""
    choices: list[tuple[str, str]] = []
    disabled: tuple[str, ...] = ()
    for kind, value in table.items():
        if kind == "disabled":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise InvalidArgumentError(
                    f"failed to load pyctl config from {path}: plugins.disabled must be a list of strings", exit_code=125
                )
            disabled = tuple(value)
            continue
        from pyctl.providers.hooks import KINDS

        if kind not in KINDS:
            raise InvalidArgumentError(f'failed to load pyctl config from {path}: unknown key "plugins.{kind}"', exit_code=125)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise InvalidArgumentError(
                f'failed to load pyctl config from {path}: write plugins.{kind}.NAME = "DISTRIBUTION"', exit_code=125
            )
        choices += [(f"{kind}.{name}", distribution) for name, distribution in value.items()]
    return tuple(choices), disabled
