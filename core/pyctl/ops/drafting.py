"""From options to a draft: every decision about a container that can be made before anything changes."""

from __future__ import annotations

import os

from pyctl.ops.creating import Draft
from pyctl.ops.networking import plan_networks, spec_namespace
from pyctl.ops.starting import StartFacts
from pyctl_hookspecs.errors import InvalidArgumentError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl.ops.loaded import LoadedImage
    from pyctl.ops.networking import PlannedNetwork
    from pyctl.ops.session import Session
    from pyctl.spec.endpoints import Endpoint
    from pyctl.spec.mounts import MountPoint
    from pyctl.spec.options import ContainerOptions
    from pyctl_hookspecs.resolve_image import PullProgress
    from pyctl_hookspecs.setup_network import PortMapping

DEFAULT_RUNTIME = "io.containerd.runc.v2"


def _check_platform(text: str) -> None:
    if not text:
        return
    from pyctl_hookspecs.platforms import normalise

    try:
        normalise(text)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"error parsing specified platform: {error}") from None


def check_options(options: ContainerOptions) -> None:
    """Refuse what contradicts itself before anything is looked up.

    Raises:
        InvalidArgumentError: names the flags, in Docker's words; exit code 125 where ``create`` has it too.
        UnsupportedError: a flag that is not done yet.
    """
    from pyctl.ops.policies import parse_policy
    from pyctl.spec.checks import check

    check(options)
    _check_platform(options.platform)
    if options.stop_signal:
        from pyctl.ops.signals import parse_signal

        try:
            parse_signal(options.stop_signal)
        except InvalidArgumentError:
            raise InvalidArgumentError(f"invalid signal: {options.stop_signal}") from None
    policy = parse_policy(options.restart)
    if options.rm and policy.name != "no":
        raise InvalidArgumentError("conflicting options: cannot specify both --restart and --rm", exit_code=125)
    if options.cidfile and os.path.exists(options.cidfile):
        raise InvalidArgumentError(
            f"container ID file found, make sure the other container isn't running or delete {options.cidfile}"
        )
    if options.pull not in ("always", "missing", "never"):
        raise InvalidArgumentError(f"invalid argument {options.pull!r} for pull: use always, missing or never", exit_code=125)


def ensure_image(
    session: Session, options: ContainerOptions, progress: Callable[[PullProgress], None] | None = None
) -> LoadedImage:
    """The image, pulled if the policy says so.

    Raises:
        NotFoundError: not here, and ``--pull never``; or the registry has none.
    """
    from pyctl.ops.loaded import find_local, pull_image, why_absent

    if options.pull != "always":
        found = find_local(session, options.image, options.platform, unpack=True)
        if found is not None:
            return _noting_platform(session, options, found)
        if options.pull == "never":
            reason = why_absent(session, options.image, options.platform)
            raise NotFoundError("image", options.image, message=reason)
        session.notices.append(f"Unable to find image '{with_tag(options.image)}' locally")
    return _noting_platform(session, options, pull_image(session, options.image, options.platform, progress))


def _noting_platform(session: Session, options: ContainerOptions, image: LoadedImage) -> LoadedImage:
    """An image of another platform may run, emulated; nobody should wonder why it does not, or is slow."""
    from pyctl_hookspecs.platforms import host_platform, rank

    here = host_platform()
    if not options.platform and image.platform and image.platform != here and rank(image.platform, here) < 0:
        session.notices.append(
            f"WARNING: The requested image's platform ({image.platform}) does not match the detected host platform "
            f"({here}) and no specific platform was requested"
        )
    return image


def with_tag(text: str) -> str:
    """What the user typed, with the tag Docker would add."""
    return text if "@" in text or ":" in text.rpartition("/")[2] else f"{text}:latest"


def new_container_id(random: Callable[[int], bytes]) -> str:
    """64 random hex digits, as Docker's, of which the first twelve are not all decimal.

    Those twelve are the hostname, and the C library takes a name of nothing but decimal digits for an IPv4 address: the
    container could not look itself up. ``random`` gives so many random bytes.
    """
    while True:
        container_id = random(32).hex()
        if not container_id[:12].isdecimal():
            return container_id


def draft_container(session: Session, options: ContainerOptions, image: LoadedImage) -> tuple[Draft, tuple[PlannedNetwork, ...]]:
    """Decide everything about a new container. Changes nothing but, when it is missing, the default network's file.

    Raises:
        PyctlError: the argument it cannot serve, named.
    """
    from pyctl.ops.naming import resolv_conf
    from pyctl.ops.sharing import find_donor, shm_directory
    from pyctl.spec.filesystem import shm_bytes
    from pyctl.spec.mounts import parse_mounts
    from pyctl.state.names import check_name

    container_id = new_container_id(os.urandom)
    name = options.name or f"{image.short_name}-{container_id[:5]}"
    check_name(name)
    endpoints = _endpoints(session, options)
    kind = endpoints[0].kind
    hostname = _hostname(session, options, container_id, endpoints[0])
    runtime, binary = parse_runtime(options.runtime)
    facts = StartFacts(
        container_id=container_id,
        container_name=name,
        hostname=hostname,
        domainname=options.domainname,
        endpoints=endpoints,
        ports=_ports(session, options, image, kind),
        extra_hosts=tuple(_extra_host(session, text) for text in options.add_host),
        terminal=options.tty,
        open_stdin=options.interactive,
        shm_bytes=shm_bytes(options.shm_size) if options.ipc == "shareable" else 0,
        runtime=runtime,
        runtime_binary=binary,
    )
    planned = plan_networks(session, facts)
    facts = facts.replace(endpoints=_by_name(endpoints, planned))
    settings = session.settings
    driver, log_options, log_uri = _logging(session, options, container_id)
    pid_donor = find_donor(session, options.pid, kind="pid")
    ipc_donor = find_donor(session, options.ipc, kind="ipc")
    draft = Draft(
        options=options,
        image=image,
        facts=facts,
        network_namespace=spec_namespace(session, container_id, planned),
        snapshotter=settings.snapshotter,
        mounts=parse_mounts(
            options, container_id=container_id, image_volumes=image.volumes, donors=_mount_donors(session, options)
        ),
        log_driver=driver,
        log_options=log_options,
        log_uri=log_uri,
        resolv_conf=resolv_conf(session, options, planned, kind),
        pid_namespace=f"/proc/{pid_donor.pid}/ns/pid" if pid_donor else "",
        ipc_namespace=f"/proc/{ipc_donor.pid}/ns/ipc" if ipc_donor else "",
        shm_path=ipc_donor.shm_path if ipc_donor else shm_directory(session, container_id) if facts.shm_bytes else "",
        pid_donor=pid_donor.container_id if pid_donor else "",
        ipc_donor=ipc_donor.container_id if ipc_donor else "",
    )
    return draft, planned


def parse_runtime(text: str) -> tuple[str, str]:
    """containerd's runtime and the OCI runtime it runs, from ``--runtime`` (a shim's name, ``crun``, a path).

    Raises:
        InvalidArgumentError: no such program in PATH.
    """
    if not text or text == "runc":
        return DEFAULT_RUNTIME, ""
    if text.startswith("io.containerd."):
        return text, ""
    places = (text,) if "/" in text else [f"{folder}/{text}" for folder in os.environ.get("PATH", os.defpath).split(":")]
    for place in places:
        if os.access(place, os.X_OK) and os.path.isfile(place):
            return DEFAULT_RUNTIME, os.path.abspath(place)
    raise InvalidArgumentError(f"unknown or invalid runtime name: {text}")


def _endpoints(session: Session, options: ContainerOptions) -> tuple[Endpoint, ...]:
    """The networks, with the full ID of a container whose network is shared."""
    from pyctl.spec.endpoints import endpoints_of

    found = endpoints_of(options)
    if found[0].kind and found[0].mac_address:  # accepted, as Docker and nerdctl do
        session.notices.append(f"WARNING: A MAC address has no effect with network mode {found[0].network.partition(':')[0]}")
        found = (found[0].replace(mac_address=""),)
    if found[0].kind != "container":
        return found
    from pyctl.ops.lookup import find_container

    for given, refusal in (
        (options.hostname, "hostname and the network mode"),
        (options.dns, "dns and the network mode"),
        (options.publish or options.publish_all, "port publishing and the container type network mode"),
        (options.expose, "port exposing and the container type network mode"),
        (options.add_host, "custom host-to-IP mapping and the network mode"),
    ):
        if given:
            raise InvalidArgumentError(f"conflicting options: {refusal}", exit_code=125)
    donor = find_container(session.client, found[0].network.partition(":")[2])
    return (found[0].replace(network=f"container:{donor.container_id}"),)


def _by_name(endpoints: tuple[Endpoint, ...], planned: tuple[PlannedNetwork, ...]) -> tuple[Endpoint, ...]:
    """Networks given by ID are kept by name: that is what nerdctl looks for. An administrator's default one stays ``bridge``."""
    return tuple(
        endpoint if endpoint.network == "bridge" or endpoint.kind else endpoint.replace(network=network.name)
        for endpoint, network in zip(endpoints, planned, strict=True)
    )


def _hostname(session: Session, options: ContainerOptions, container_id: str, first: Endpoint) -> str:
    if options.hostname:
        return options.hostname
    if options.uts == "host" or first.kind in ("host", "ns"):
        return os.uname().nodename
    if first.kind == "container":
        donor = session.client.containers.get(first.network.removeprefix("container:"))
        return donor.labels.get("nerdctl/hostname", "")
    return container_id[:12]


def _ports(session: Session, options: ContainerOptions, image: LoadedImage, kind: str) -> tuple[PortMapping, ...]:
    from pyctl.spec.ports import parse_expose, parse_published, publish_all

    published = parse_published(options.publish)
    exposed = (*image.exposed_ports, *(key for text in options.expose for key in parse_expose(text)))
    if options.publish_all:
        published = publish_all(exposed, published)
    if kind not in ("host", "none", "ns"):
        return published
    if published:  # Docker warns for host only
        session.notices.append(f"WARNING: Published ports are discarded when using {kind} network mode")
    return ()


def _extra_host(session: Session, text: str) -> tuple[str, str]:
    """``name:address`` (or ``name=address``) of ``--add-host``; ``host-gateway`` becomes the host's address."""
    name, separator, address = text.partition("=") if "=" in text else text.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    if address == "host-gateway":
        address = session.settings.host_gateway_ip or _host_address()
    if not separator or not name or not _is_address(address):
        raise InvalidArgumentError(
            f'invalid argument "{text}" for "--add-host" flag: bad format for add-host: "{text}"', exit_code=125
        )
    return name, address


def _is_address(text: str) -> bool:
    import _socket

    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)
    except OSError:
        return False
    return True


def _host_address() -> str:
    """The first address of the host that is not loopback, as its routing table would choose it."""
    import _socket

    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM, 0)
    try:
        probe.connect(("192.0.2.1", 9))  # sends nothing: choosing a source address is all
        return str(probe.getsockname()[0])
    except OSError:
        raise InvalidArgumentError(
            "unable to derive the IP value for host-gateway", hint="give one with --host-gateway-ip"
        ) from None
    finally:
        probe.close()


def _logging(session: Session, options: ContainerOptions, container_id: str) -> tuple[str, tuple[tuple[str, str], ...], str]:
    from pyctl import keeper
    from pyctl_hookspecs.logging import LogRequest

    driver = options.log_driver or "json-file"
    pairs = []
    for text in options.log_opt:
        key, separator, value = text.partition("=")
        if not separator:
            raise InvalidArgumentError(f"invalid logging opt format: {text}", exit_code=125)
        pairs.append((key, value))
    request = LogRequest(
        container_id=container_id, state_dir=session.paths.state_dir(container_id), driver=driver, options=tuple(pairs)
    )
    session.hooks.plan_logging(request)
    paths = session.paths
    keeps = session.hooks.route_logs(request).keeps
    uri = keeper.log_uri(paths.data_root, paths.data_store, runtime_dir=paths.runtime_dir) if keeps else "none"
    return driver, tuple(pairs), uri


def _mount_donors(session: Session, options: ContainerOptions) -> dict[str, tuple[MountPoint, ...]]:
    from pyctl.ops.lookup import find_container
    from pyctl.spec.labels import mount_points
    from pyctl.spec.mounts import volumes_from

    return {name: mount_points(find_container(session.client, name).labels) for name, _ in volumes_from(options.volumes_from)}
