"""Image provider ``transfer``: containerd (1.7 and later) pulls by itself, with its own registry client."""

from __future__ import annotations

from pyctl_hookspecs import Descriptor, ImageRequest, Intent, NotFoundError, PullProgress, ResolvedImage, hookimpl
from pyctl_hookspecs.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs import Host
    from pyctl_hookspecs.manifests import Manifest
    from pyctl_hookspecs.references import Reference


@hookimpl
def plan_image(request: ImageRequest) -> Intent:
    return Intent(
        says=f"let containerd pull {request.image_ref} into the {request.snapshotter} snapshotter", late=("digest", "size")
    )


@hookimpl
def resolve_image(request: ImageRequest, undo_token: str, host: Host) -> ResolvedImage:
    from pyctl_hookspecs import platforms, references

    reference = references.normalise(request.image_ref)
    here = platforms.host_platform()
    wanted = tuple(platforms.normalise(platform) for platform in request.platforms) or (here,)
    target = _pull(request, reference, () if request.all_platforms else wanted, host)
    manifest = _manifest(host, target, here if request.all_platforms else wanted[0])
    chain_id = ""
    if request.unpack:
        # Finds everything done already, unless the daemon is not configured to unpack for this snapshotter.
        chain_id = host.images.unpack(request.snapshotter, manifest.config.digest, manifest.layers)
    return ResolvedImage(
        image_ref=request.image_ref,
        target=target,
        manifest_digest=manifest.target.digest,
        config_digest=manifest.config.digest,
        platform=_platform(host, manifest),
        chain_id=chain_id,
    )


@hookimpl
def cleanup(undo_token: str) -> None:
    """Nothing to undo: what was fetched is content-addressed, and containerd collects what nothing refers to."""


def _pull(request: ImageRequest, reference: Reference, wanted: tuple[str, ...], host: Host) -> Descriptor:
    from pyctl_plugins.image import _auth, _hosts

    def credentials(name: str) -> tuple[str, str]:
        found = _auth.credential(name, request.docker_config_dir)
        if found is None:
            return "", ""
        return ("", found.identity_token) if found.identity_token else (found.username, found.secret)

    def progress(event: PullProgress) -> None:
        if request.progress is not None:
            request.progress(event)

    # Only one directory can be told; the first that has something about this registry.
    hosts_dir = next((directory for directory in request.hosts_dirs if _hosts.is_configured(reference.domain, directory)), "")
    plain_http = request.insecure_registry or _hosts.is_loopback(reference.domain)
    for snapshotter in (request.snapshotter if request.unpack else "", ""):
        try:
            return host.images.server_pull(
                request.image_ref,
                platforms=wanted,
                snapshotter=snapshotter,
                hosts_dir=hosts_dir,
                plain_http=plain_http,
                credentials=credentials,
                progress=progress,
            )
        except InvalidArgumentError:
            if not snapshotter:
                raise
            # The daemon unpacks only where its configuration says so; then the unpacking is ours.
        except NotFoundError as error:
            words = f"manifest for {reference.familiar} not found: manifest unknown: {error}"
            raise NotFoundError("image", reference.familiar, message=words) from error
    raise AssertionError("the second attempt returns or raises")


def _manifest(host: Host, target: Descriptor, wanted: str) -> Manifest:
    from pyctl_hookspecs import manifests

    while True:
        document = manifests.read(target, host.content.read(target.digest))
        if not isinstance(document, manifests.Index):
            return document
        target = document.choose(wanted)


def _platform(host: Host, manifest: Manifest) -> str:
    from pyctl_hookspecs import manifests

    return manifests.config_platform(host.content.read(manifest.config.digest)) or manifest.target.platform
