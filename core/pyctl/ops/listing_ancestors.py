"""``ps --filter ancestor=IMAGE``: containers of an image, or of one built on top of it."""

from __future__ import annotations

from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session


def descends_from(session: Session, references: Sequence[str]) -> Callable[[Container], bool]:
    """A test for containers. Images are looked at once each; a reference that is no image matches its containers by name."""
    bases = [layers for layers in (_layers(session, reference) for reference in references) if layers]
    names = {name for reference in references for name in _full_names(reference)}
    answers: dict[str, bool] = {}

    def matches(container: Container) -> bool:
        image = container.image
        if image not in answers:
            answers[image] = image in names or _stands_on(_layers(session, image) if bases else (), bases)
        return answers[image]

    return matches


def _stands_on(layers: tuple[str, ...], bases: Sequence[tuple[str, ...]]) -> bool:
    return any(layers[: len(base)] == base for base in bases)


def _layers(session: Session, reference: str) -> tuple[str, ...]:
    """The image's layers from the bottom up; none for what is not here."""
    from pyctl.ops import images

    try:
        image = images.find_image(session.client, reference)
        return images.load_config(session.client, image, any_platform=True).diff_ids
    except (NotFoundError, ConflictError, InvalidArgumentError):
        return ()


def _full_names(reference: str) -> tuple[str, ...]:
    """Containers whose image is gone still know its name."""
    from pyctl_hookspecs.references import normalise

    try:
        return (reference, str(normalise(reference)))
    except InvalidArgumentError:
        return (reference,)
