"""Which streams a container gets, and who is at their other end: the user, the keeper, or nobody yet."""

from __future__ import annotations

from pyctl.ops.starting import StartFacts, TaskStreams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctl.ops.foreground import Attachment, Foreground
    from pyctl.ops.logtee import LogTee
    from pyctl.ops.session import Session
    from pyctl.spec.options import ContainerOptions


def attach_choice(options: ContainerOptions) -> Attachment | None:
    """Which streams ``run`` shows; None when it is detached."""
    from pyctl.ops.foreground import Attachment
    from pyctl_hookspecs.errors import InvalidArgumentError

    if options.detach:
        return None
    wanted = [word.lower() for word in options.attach]
    for word in wanted:
        if word not in ("stdin", "stdout", "stderr"):
            raise InvalidArgumentError(
                f'invalid argument "{word}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR', exit_code=125
            )
    return Attachment(
        stdin=options.interactive and (not wanted or "stdin" in wanted),
        stdout=not wanted or "stdout" in wanted,
        stderr=not wanted or "stderr" in wanted,
        tty=options.tty,
        sig_proxy=options.sig_proxy,
        detach_keys=options.detach_keys,
    )


def choose_streams(
    session: Session, facts: StartFacts, log_uri: str, attachment: Attachment | None, *, detach: bool
) -> tuple[TaskStreams, Attachment | None]:
    """FIFOs for a foreground container; the log URI for a detached one, with a FIFO for whoever attaches to its terminal."""
    from pyctl.ops.streams import fifo_paths

    directory = session.paths.fifo_dir(facts.container_id)
    if detach or attachment is None:
        if facts.open_stdin:
            return _attachable_streams(session, facts, log_uri, directory), None
        uri = "" if log_uri == "none" else log_uri
        return TaskStreams(stdout=uri, stderr="" if facts.terminal else uri), None
    paths = fifo_paths(directory, stdin=attachment.stdin, stderr=not facts.terminal)
    return TaskStreams(stdin=paths.stdin, stdout=paths.stdout, stderr=paths.stderr, directory=directory), attachment


def _attachable_streams(session: Session, facts: StartFacts, log_uri: str, directory: str) -> TaskStreams:
    """A detached container whose standard input stays open for whoever attaches."""
    from pyctl import keeper
    from pyctl.ops.streams import fifo_paths

    if not facts.terminal:
        paths = fifo_paths(directory, stdin=True, stderr=True)
        return TaskStreams(stdin=paths.stdin, stdout=paths.stdout, stderr=paths.stderr, directory=directory)
    if log_uri == "none":  # a shim with an input and no output hangs; the keeper reads it and keeps nothing
        where = session.paths
        log_uri = keeper.log_uri(where.data_root, where.data_store, runtime_dir=where.runtime_dir)
    return TaskStreams(stdin=f"{directory}/stdin", stdout=log_uri, directory=directory)


def new_foreground(
    session: Session,
    container_id: str,
    streams: TaskStreams,
    attachment: Attachment | None,
    log_driver: str,
    log_options: Sequence[tuple[str, str]],
) -> tuple[Foreground | None, list[LogTee]]:
    """The user's end, and the log it writes once the state directory exists (an empty list until then, or for good)."""
    if attachment is None:
        return None, []
    from pyctl.ops.foreground import Foreground
    from pyctl_hookspecs.logging import LogRequest

    state_dir = session.paths.state_dir(container_id)
    request = LogRequest(container_id=container_id, state_dir=state_dir, driver=log_driver, options=tuple(log_options))
    route = session.hooks.route_logs(request)
    tees: list[LogTee] = []

    def tee(stream: str, chunk: bytes) -> None:
        from pyctl.ops.logtee import LogTee

        if not tees:
            tees.append(LogTee(state_dir, route))
        tees[0](stream, chunk)

    foreground = Foreground(session, container_id, streams, attachment, tee=tee if route.keeps else None)
    return foreground, tees


def opener(session: Session, container_id: str, streams: TaskStreams, foreground: Foreground | None) -> Callable[[], None] | None:
    """Makes the FIFOs and gives them somebody at the other end; None when there are none."""
    if foreground is not None:
        return foreground.open
    if not streams.directory:
        return None
    from pyctl.ops.streams import FifoPaths, make_fifos

    is_terminal = not streams.stderr
    paths = FifoPaths(
        stdin=streams.stdin, stdout="" if is_terminal else streams.stdout, stderr="" if is_terminal else streams.stderr
    )

    def make() -> None:
        make_fifos(paths)
        if not is_terminal:
            from pyctl.ops.logger import start_logger

            start_logger(session, container_id, paths)

    return make
