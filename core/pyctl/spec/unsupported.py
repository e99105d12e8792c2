"""Flags that are known and not done yet: each says so, none is silently ignored."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.spec.options import ContainerOptions

# Fields of ContainerOptions that must still have their default.
NOT_YET = (
    "cosign_certificate_identity",
    "cosign_certificate_identity_regexp",
    "cosign_certificate_oidc_issuer",
    "cosign_certificate_oidc_issuer_regexp",
    "cosign_key",
    "cpu_count",
    "cpu_percent",
    "gpus",
    "health_cmd",
    "health_interval",
    "health_retries",
    "health_start_interval",
    "health_start_period",
    "health_timeout",
    "io_maxbandwidth",
    "io_maxiops",
    "ipfs_address",
    "link",
    "link_local_ip",
    "rdt_class",
    "rootfs",
    "storage_opt",
)

# Words that name what would happen anyway are accepted; any other value is not supported yet.
ONLY = {
    "isolation": ("", "default"),
    "systemd": ("", "false"),
    "userns": ("", "host"),
    "verify": ("", "none"),
    "volume_driver": ("", "local"),
}


def refuse_unsupported(options: ContainerOptions) -> None:
    """Check that nothing was asked for that would have no effect.

    Raises:
        UnsupportedError: names the flag; exit code 125.
    """
    for field in NOT_YET:
        if getattr(options, field) != getattr(type(options), field):
            _refuse(_flag(field))
    for field, accepted in ONLY.items():
        value = getattr(options, field)
        if value not in accepted:
            _refuse(f"{_flag(field)} {value}")
    if not options.disable_content_trust:
        _refuse("--disable-content-trust=false")
    for text in options.security_opt:
        _refuse_security(text)
    for device in options.device:
        if not device.startswith("/") and "=" in device:
            _refuse(f"--device {device} (a CDI name)")


def _refuse_security(text: str) -> None:
    from pyctl.spec.security import split

    key, value = split(text)
    if key == "apparmor" and value != "unconfined":
        _refuse(f"--security-opt apparmor={value}")
    if key == "label" and value != "disable":
        _refuse(f"--security-opt label={value}")


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")


def _refuse(what: str) -> None:
    from pyctl_hookspecs.errors import UnsupportedError

    raise UnsupportedError(f"{what} is not supported yet", exit_code=125)
