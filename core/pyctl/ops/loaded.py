"""An image that is here, complete and unpacked, as far as a new container needs to know it."""

from __future__ import annotations

from pyctl.lifecycle.steps import Step
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pyctl.ops.session import Session
    from pyctl.spec.options import ContainerOptions
    from pyctl_hookspecs.resolve_image import PullProgress


class LoadedImage(Record):
    """``name`` is the image's full name, ``config`` the ``config`` object of its configuration."""

    name: str
    platform: str
    config_digest: str
    chain_id: str
    config: Mapping[str, Any]

    @property
    def short_name(self) -> str:
        """The last element of the repository, for the names of containers nobody named."""
        return self.name.partition("@")[0].rpartition("/")[2].partition(":")[0]

    @property
    def volumes(self) -> tuple[str, ...]:
        return tuple(self.config.get("Volumes") or ())

    @property
    def exposed_ports(self) -> tuple[str, ...]:
        return tuple(self.config.get("ExposedPorts") or ())


def find_local(session: Session, text: str, platform: str, *, unpack: bool = False) -> LoadedImage | None:
    """The image, if it is here for this platform and unpacked for the snapshotter; None otherwise.

    With ``unpack``, one that is complete but not unpacked for this snapshotter becomes so: no registry is asked.

    Raises:
        InvalidArgumentError: not an image reference.
    """
    from pyctl.ops import images
    from pyctl_hookspecs.errors import NotFoundError

    try:
        image = images.find_image(session.client, text)
        loaded = images.load_config(session.client, image, platform, cache_dir=f"{session.paths.data_store}/cache/images")
        if not _is_unpacked(session, loaded.chain_id):
            if not unpack:
                return None
            from pyctl.ops.pull import unpack_local

            unpack_local(session, loaded)
    except NotFoundError:
        return None
    return LoadedImage(
        name=image.name,
        platform=loaded.platform,
        config_digest=loaded.config_digest,
        chain_id=loaded.chain_id,
        config=loaded.config.get("config") or {},
    )


def why_absent(session: Session, text: str, platform: str) -> str:
    """In Docker's words why ``find_local`` found nothing."""
    from pyctl.ops import images
    from pyctl.ops.drafting import with_tag
    from pyctl_hookspecs.errors import NotFoundError

    try:
        images.load_config(session.client, images.find_image(session.client, text), platform)
    except NotFoundError as error:
        if platform:
            return str(error)
    return f"No such image: {with_tag(text)}"


def _is_unpacked(session: Session, chain_id: str) -> bool:
    from pyctl_hookspecs.errors import NotFoundError

    try:
        if chain_id:  # an image without layers has nothing to unpack
            session.client.snapshots.stat(session.settings.snapshotter, chain_id)
    except NotFoundError:
        return False
    return True


def pull_image(session: Session, text: str, platform: str, progress: Callable[[PullProgress], None] | None) -> LoadedImage:
    """Pull and unpack it through the configured provider.

    Raises:
        NotFoundError: no such image, or not for this platform.
    """
    from pyctl.ops import pull
    from pyctl_hookspecs.errors import NotFoundError

    pull.pull(session, pull.request_for(session, text, platforms=(platform,) if platform else (), progress=progress))
    found = find_local(session, text, platform)
    if found is None:
        raise NotFoundError("image", text, exit_code=125)
    return found


def image_step(session: Session, options: ContainerOptions) -> Step:
    """What a dry run can say of an image that is not here: the rest of the plan is known once it is."""
    from pyctl.ops import pull

    request = pull.request_for(session, options.image, platforms=(options.platform,) if options.platform else ())
    provider = session.settings.image_provider
    intent = session.hooks.plan_image(provider, request)
    return Step(
        name="image",
        says=intent.says,
        provider=f"image/{provider}",
        undo_token=intent.undo_token,
        late=(*intent.late, "the rest of the plan, from the image's configuration"),
        do=lambda _: None,
    )
