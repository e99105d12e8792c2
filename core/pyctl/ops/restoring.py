"""What a stored container was told, read back from its labels: ours or nerdctl's alike."""

from __future__ import annotations

from pyctl.ops.starting import StartFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session


OPEN_STDIN_LABEL = "pyctl/open-stdin"


def start_facts(session: Session, container: Container) -> StartFacts:
    """What starting needs to know. Ports come from the state directory, everything else from labels and spec."""
    import json

    from pyctl.containerd.tasks import runc_options_in
    from pyctl.ops.ending import state_of
    from pyctl.ops.hooked import is_hooked
    from pyctl.spec.endpoints import from_labels
    from pyctl.spec.ports import from_entries

    labels = container.labels
    spec = json.loads(container.spec_json)
    extra = json.loads(labels.get("nerdctl/extraHosts") or "[]")
    return StartFacts(
        container_id=container.container_id,
        container_name=labels.get("nerdctl/name", ""),
        hostname=labels.get("nerdctl/hostname", ""),
        domainname=labels.get("nerdctl/domainname", ""),
        endpoints=from_labels(labels),
        ports=from_entries(state_of(session, container.container_id).wanted_ports()),
        extra_hosts=tuple((text.partition(":")[0], text.partition(":")[2]) for text in extra),
        terminal=bool(spec.get("process", {}).get("terminal")),
        shm_bytes=_shm_bytes(labels.get("nerdctl/ipc", "")),
        open_stdin=labels.get(OPEN_STDIN_LABEL) == "true",
        runtime=container.runtime_name,
        runtime_binary=str(runc_options_in(container.runtime_options).get("binary_name", "")),
        is_hooked=is_hooked(spec),
    )


def _shm_bytes(text: str) -> int:
    import json

    from pyctl.spec.filesystem import shm_bytes

    mode = json.loads(text or "{}")
    return shm_bytes(mode.get("shmSize", "")) if mode.get("mode") == "shareable" else 0


def log_choice(container: Container) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Log driver, its options, and the log URI that was frozen when the container was made."""
    import json

    config = json.loads(container.labels.get("nerdctl/log-config") or "{}")
    uri = container.labels.get("nerdctl/log-uri", "none")
    usual = "none" if uri == "none" else "json-file"  # nerdctl leaves the driver none empty
    return config.get("driver") or usual, tuple((config.get("opts") or {}).items()), uri
