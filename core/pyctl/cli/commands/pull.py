"""``pyctl pull``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, pull_progress, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class PullOptions(Options):
    all_platforms: bool = flag("--all-platforms", help="Pull every platform of the image")
    all_tags: bool = flag("-a", "--all-tags", help="Download all tagged images in the repository", is_supported=False)
    disable_content_trust: bool = flag(
        "--disable-content-trust", default=True, help="Skip image verification", is_supported=False
    )
    platform: tuple[str, ...] = flag("--platform", default=(), kind="csv", help="Pull these platforms (OS/ARCH[/VARIANT])")
    progress: str = flag("--progress", default="auto", choices=("auto", "tty", "plain", "json"), help="How progress is shown")
    quiet: bool = flag("-q", "--quiet", help="Suppress verbose output")
    unpack: str = flag("--unpack", default="auto", choices=("auto", "true", "false"), help="Unpack the image after the pull")
    verify: str = flag("--verify", default="none", help="Verify the image (none|cosign|notation)", is_supported=False)
    cosign_key: str = flag("--cosign-key", default="", help="Public key for --verify=cosign", is_supported=False)
    cosign_certificate_identity: str = flag("--cosign-certificate-identity", default="", is_supported=False)
    cosign_certificate_identity_regexp: str = flag("--cosign-certificate-identity-regexp", default="", is_supported=False)
    cosign_certificate_oidc_issuer: str = flag("--cosign-certificate-oidc-issuer", default="", is_supported=False)
    cosign_certificate_oidc_issuer_regexp: str = flag("--cosign-certificate-oidc-issuer-regexp", default="", is_supported=False)
    soci_index_digest: str = flag("--soci-index-digest", default="", is_supported=False)
    ipfs_address: str = flag("--ipfs-address", default="", is_supported=False)


def pull(settings: Settings, options: PullOptions, name: str) -> None:
    """Download an image from a registry."""
    from pyctl.ops import pull as ops
    from pyctl_hookspecs.references import normalise

    reference = normalise(name)
    # Unpacking is for this machine's platform; of others only the content is wanted, unless the user insists.
    unpack = options.unpack == "true" or (options.unpack == "auto" and not options.all_platforms)
    is_verbose = not options.quiet and options.progress != "json"
    # Docker's pull has its progress on standard output, and programs take a word on standard error for a failure.
    with session_for(settings) as session, pull_progress(session, _style(options), sys.stdout) as progress:
        if is_verbose:
            echo(f"{reference.tag or 'latest'}: Pulling from {reference.path}")
            sys.stdout.flush()
        request = ops.request_for(
            session, name, platforms=options.platform, all_platforms=options.all_platforms, unpack=unpack, progress=progress
        )
        resolved = ops.pull(session, request)
    if is_verbose:
        state = "Downloaded newer image for" if progress.is_newer else "Image is up to date for"
        echo(f"Digest: {resolved.target.digest}\nStatus: {state} {reference.familiar}")
    if options.progress != "json":
        echo(resolved.image_ref)


def _style(options: PullOptions) -> str:
    return "quiet" if options.quiet else options.progress
