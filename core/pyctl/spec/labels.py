"""nerdctl's labels, so that both tools know one another's containers, and the annotations made of them."""

from __future__ import annotations

from pyctl.spec.endpoints import to_labels
from pyctl.spec.own_labels import IMAGE_LABEL, OWN_PREFIX
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.spec.endpoints import Endpoint
    from pyctl.spec.mounts import MountPoint
    from pyctl.spec.options import ContainerOptions
    from pyctl_hookspecs.process_mounts import MountOutcome

PREFIX = "nerdctl/"
STOP_SIGNAL = "io.containerd.image.config.stop-signal"
RESTART_POLICY = "containerd.io/restart.policy"
_NETWORK_KEYS = ("nerdctl/bypass4netns", "nerdctl/bypass4netns-ignore-subnets", "nerdctl/bypass4netns-ignore-bind")
# containerd refuses a label whose key and value are longer than this together.
_MAX_LABEL_BYTES = 4096


class LabelFacts(Record):
    """What the operation decided. ``extra_hosts`` are ``host:ip``, ``endpoints`` as resolved (``container:<full id>``)."""

    namespace: str
    container_name: str
    hostname: str = ""
    domainname: str = ""
    state_dir: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    platform: str = ""
    log_uri: str = ""
    log_driver: str = ""
    log_options: tuple[tuple[str, str], ...] = ()
    address: str = ""
    mounts: tuple[MountOutcome, ...] = ()
    anonymous_volumes: tuple[str, ...] = ()
    pid_container: str = ""
    ipc_container: str = ""


def build_labels(options: ContainerOptions, image_config: Mapping[str, Any], facts: LabelFacts) -> dict[str, str]:
    """Labels of a new container: the image's, the user's over them, then ours.

    Raises:
        InvalidArgumentError: a label the user may not set, or one that is too long for containerd.
    """
    theirs = image_config.get("Labels") or {}
    labels = {str(key): str(value) for key, value in theirs.items() if not key.startswith((PREFIX, OWN_PREFIX))}
    labels |= user_labels(options)
    labels[STOP_SIGNAL] = options.stop_signal or image_config.get("StopSignal") or "SIGTERM"
    if options.restart not in ("", "no"):
        labels[RESTART_POLICY] = options.restart
        labels["containerd.io/restart.loguri"] = facts.log_uri
    labels |= {
        "nerdctl/namespace": facts.namespace,
        "nerdctl/name": facts.container_name,
        "nerdctl/hostname": facts.hostname,
        "nerdctl/domainname": facts.domainname,
        "nerdctl/extraHosts": _json(list(facts.extra_hosts)),
        "nerdctl/state-dir": facts.state_dir,
        "nerdctl/platform": facts.platform,
        "nerdctl/ipc": _json(_ipc(options, facts)),
        "nerdctl/auto-remove": "true" if options.rm else "false",
        "nerdctl/host-config": _json(_host_config(options)),
        "nerdctl/dns": _json(
            {
                "DNSServers": list(options.dns) or None,
                "DNSResolvConfOptions": list(options.dns_option) or None,
                "DNSSearchDomains": list(options.dns_search) or None,
            }
        ),
    }
    labels |= to_labels(facts.endpoints)
    if options.image and not _is_short(options.image):
        labels[IMAGE_LABEL] = options.image
    log_config: dict[str, Any] = {"driver": facts.log_driver or "json-file", "address": facts.address}
    if facts.log_options:
        log_config["opts"] = dict(facts.log_options)
    user = options.user or image_config.get("User") or ""
    for key, value in (
        ("log-uri", facts.log_uri),
        ("log-config", _json(log_config) if facts.log_uri else ""),
        ("pid-file", options.pidfile),
        ("anonymous-volumes", _json(list(facts.anonymous_volumes)) if facts.anonymous_volumes else ""),
        ("stop-timeout", str(options.stop_timeout) if options.stop_timeout is not None else ""),
        ("pid-container", facts.pid_container),
        ("user", user),
        ("privileged", "true" if options.privileged else ""),
        ("healthcheck", _healthcheck(options, image_config)),
        ("exposed-ports", _exposed(options, image_config)),
    ):
        if value:
            labels[PREFIX + key] = value
    for index, outcome in enumerate(facts.mounts):
        labels[f"nerdctl/mounts.{index}"] = _json(_mount(outcome))
    _check_lengths(labels)
    return labels


def _is_short(image: str) -> bool:
    """Is this what ``ps`` makes of the image's full name anyway?"""
    from pyctl_hookspecs import InvalidArgumentError
    from pyctl_hookspecs.references import familiar, normalise

    try:
        return familiar(str(normalise(image))) == image
    except InvalidArgumentError:
        return False  # an ID


def user_labels(options: ContainerOptions) -> dict[str, str]:
    """``--label-file`` and ``-l``, in that order; ``KEY`` alone is an empty value.

    Raises:
        InvalidArgumentError: no key, or one that is ours.
    """
    from pyctl.spec.units import refuse, refuse_flag

    found: dict[str, str] = {}
    if options.label_file:
        from pyctl.spec.env import read_pairs

        for path in options.label_file:
            found |= {key: value or "" for key, value in read_pairs(path, kind="label")}
    for text in options.label:
        key, _, value = text.partition("=")
        if not key:
            refuse_flag(text, "-l, --label", f"invalid label '{text}': empty name")
        found[key] = value
    for key in found:
        if key.startswith((PREFIX, OWN_PREFIX)) and key not in _NETWORK_KEYS:
            refuse(f'internal label "{key}" must not be specified manually')
    return found


def annotations_for(labels: Mapping[str, str], options: ContainerOptions) -> tuple[tuple[str, str], ...]:
    """nerdctl's labels as annotations of the specification, then the user's.

    The networks are ``["none"]`` there: nerdctl's stop and kill read annotations only, and would give back an address
    that a start through our pinned namespace still uses.

    Raises:
        InvalidArgumentError: a malformed ``--annotation``.
    """
    from pyctl.spec.units import refuse_flag

    found = {key: value for key, value in labels.items() if PREFIX in key}
    found["nerdctl/networks"] = '["none"]'
    for text in options.annotation:
        key, _, value = text.partition("=")
        if not key:
            refuse_flag(text, "--annotation", f"invalid annotation '{text}': empty name")
        if key in ("nerdctl/networks", "nerdctl/state-dir", "nerdctl/namespace"):
            refuse_flag(text, "--annotation", f'internal annotation "{key}" must not be specified manually')
        found[key] = value
    return tuple(found.items())


def mount_points(labels: Mapping[str, str]) -> tuple[MountPoint, ...]:
    """The mounts of an existing container, ours or nerdctl's, in their order; unreadable ones are left out."""
    import json

    from pyctl.spec.mounts import MountPoint

    texts = [labels[key] for key in sorted((k for k in labels if k.startswith("nerdctl/mounts.")), key=_index)]
    whole = labels.get("nerdctl/mounts")  # nerdctl's older form; it wins
    try:
        entries = json.loads(whole) if whole else [json.loads(text) for text in texts]
    except ValueError:
        return ()
    return tuple(
        MountPoint(
            type=entry.get("Type") or "",
            destination=entry.get("Destination") or "",
            name=entry.get("Name") or "",
            source=entry.get("Source") or "",
            driver=entry.get("Driver") or "",
            mode=entry.get("Mode") or "",
            read_write=bool(entry.get("RW")),
            propagation=entry.get("Propagation") or "",
        )
        for entry in entries
        if isinstance(entry, dict)
    )


def _index(key: str) -> int:
    number = key.rpartition(".")[2]
    return int(number) if number.isdecimal() else 1 << 30


def _mount(outcome: MountOutcome) -> dict[str, Any]:
    entry: dict[str, Any] = {"Type": outcome.type}
    for key, value in (("Name", outcome.name), ("Source", outcome.source), ("Destination", outcome.destination)):
        if value or key == "Destination":
            entry[key] = value
    if outcome.driver:
        entry["Driver"] = outcome.driver
    return {**entry, "Mode": outcome.mode, "RW": outcome.read_write, "Propagation": outcome.propagation}


def _ipc(options: ContainerOptions, facts: LabelFacts) -> dict[str, str]:
    mode = options.ipc or "private"
    found = {"mode": "container" if mode.startswith("container:") else mode}
    if facts.ipc_container:
        found["victimContainerId"] = facts.ipc_container
    if mode == "shareable":
        found["hostShmPath"] = f"{facts.state_dir}/shm"  # nerdctl's containers join it there, and its rm unmounts it
    if options.shm_size:
        found["shmSize"] = options.shm_size
    return found


def _host_config(options: ContainerOptions) -> dict[str, Any]:
    from pyctl.spec.devices import parse_device

    devices = [
        {"PathOnHost": host, "PathInContainer": container, "CgroupPermissions": access}
        for host, container, access in map(parse_device, options.device)
    ]
    return {"BlkioWeight": options.blkio_weight, "CidFile": options.cidfile, "Devices": devices or None}


def _healthcheck(options: ContainerOptions, image_config: Mapping[str, Any]) -> str:
    """The probe as it will run; nothing while this room refuses the flags, except what the image says."""
    if options.no_healthcheck:
        return '{"Test":["NONE"]}'
    found = image_config.get("Healthcheck") or {}
    known = ("Test", "Interval", "Timeout", "StartPeriod", "Retries")
    kept = {key: found[key] for key in known if found.get(key)}
    return _json(kept) if kept.get("Test") else ""


def _exposed(options: ContainerOptions, image_config: Mapping[str, Any]) -> str:
    ports = dict.fromkeys(image_config.get("ExposedPorts") or (), 0)
    for text in options.expose:
        numbers, slash, protocol = text.partition("/")
        low, _, high = numbers.partition("-")
        if not low.isdecimal() or (high and not high.isdecimal()):
            from pyctl.spec.units import refuse_early

            refuse_early(f"invalid range format for --expose: {text}, error: invalid port")
        for port in range(int(low), int(high or low) + 1):
            ports[f"{port}/{protocol.lower() if slash else 'tcp'}"] = 0
    return _json({port: {} for port in ports}) if ports else ""


def _check_lengths(labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        size = len(key.encode()) + len(value.encode())
        if size > _MAX_LABEL_BYTES:
            from pyctl.spec.units import refuse

            refuse(f'label "{key}" is too long: {size} bytes with its key, containerd takes {_MAX_LABEL_BYTES}')


def _json(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
