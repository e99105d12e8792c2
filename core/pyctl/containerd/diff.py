"""From a layer blob to files in a snapshot, and back."""

from __future__ import annotations

from pyctl.containerd._api import snapshots_pb2
from pyctl.containerd.records import EMPTY
from pyctl.containerd.wire import descriptor, descriptor_message, mount_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyctl.containerd.calls import Calls
    from pyctl_hookspecs.process_mounts import OciMount
    from pyctl_hookspecs.resolve_image import Descriptor

_SERVICE = "/containerd.services.diff.v1.Diff/"
_LAYER_S = 3600.0  # a layer of many gigabytes on a slow disk is still work, not silence


class Diff:
    """The daemon does the reading and writing; nothing passes through here."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def apply(self, layer: Descriptor, mounts: Iterable[OciMount]) -> Descriptor:
        """Unpack a layer blob onto mounts; return the descriptor of the uncompressed layer (its diff ID).

        Raises:
            NotFoundError: the blob is not there.
        """
        request = snapshots_pb2.ApplyRequest(diff=descriptor_message(layer), mounts=mount_messages(mounts))
        answer = self._calls.unary(_SERVICE + "Apply", request, snapshots_pb2.ApplyResponse, ("layer", layer.digest), _LAYER_S)
        return descriptor(answer.applied)

    def diff(
        self,
        left: Iterable[OciMount],
        right: Iterable[OciMount],
        *,
        media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip",
        ref: str = "",
        labels: Mapping[str, str] = EMPTY,
    ) -> Descriptor:
        """Write what ``right`` has more than ``left`` as a layer blob."""
        request = snapshots_pb2.DiffRequest(
            left=mount_messages(left), right=mount_messages(right), media_type=media_type, ref=ref, labels=labels
        )
        answer = self._calls.unary(_SERVICE + "Diff", request, snapshots_pb2.DiffResponse, ("layer", ref), _LAYER_S)
        return descriptor(answer.diff)
