"""``process``: what runs, as whom, where and with which rights."""

from __future__ import annotations

from pyctl.spec.units import refuse, refuse_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pyctl.spec.build import SpecFacts
    from pyctl.spec.options import ContainerOptions


def command_line(
    entrypoint: tuple[str, ...] | None, command: Iterable[str], image_config: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Entrypoint and command that count: a given entrypoint, even an empty one, drops the image's command.

    Raises:
        InvalidArgumentError: neither the user nor the image says what to run.
    """
    own = [word for word in entrypoint or () if word]
    if entrypoint is None:
        first, rest = list(image_config.get("Entrypoint") or ()), list(command) or list(image_config.get("Cmd") or ())
    else:
        first, rest = own, list(command)
    if not first and not rest:
        refuse("no command specified")
    return first, rest


def check_process(options: ContainerOptions) -> None:
    """Check working directory, umask, limits and OOM score.

    Raises:
        InvalidArgumentError: names the flag.
    """
    if options.workdir and not options.workdir.startswith("/"):
        refuse(f"the working directory '{options.workdir}' is invalid, it needs to be an absolute path")
    if options.umask and (options.umask.strip("01234567") or int(options.umask, 8) > 0o777):
        refuse_flag(options.umask, "--umask", "not an octal number between 0 and 0777")
    if not -1000 <= options.oom_score_adj <= 1000:
        refuse(f"Invalid value {options.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if options.ulimit:
        from pyctl.spec.rlimits import rlimits

        rlimits(options.ulimit)


def process(
    options: ContainerOptions, image_config: Mapping[str, Any], facts: SpecFacts, capabilities: list[str], no_new_privileges: bool
) -> dict[str, Any]:
    """The process of the container.

    Raises:
        InvalidArgumentError: a flag that cannot be read, or a user the image does not know.
    """
    from pyctl.spec.env import process_env, user_env
    from pyctl.spec.users import resolve_user

    first, rest = command_line(options.entrypoint, options.command, image_config)
    arguments = first + rest
    if facts.init_path:
        arguments = [facts.init_path, "--", *arguments]
    workdir = options.workdir or image_config.get("WorkingDir") or "/"
    check_process(options)
    _check_directory(options.workdir, facts)
    found: dict[str, Any] = {
        "args": arguments,
        "env": process_env(
            image_config.get("Env") or (), user_env(options.env, options.env_file), hostname=facts.hostname, tty=options.tty
        ),
        "cwd": workdir if workdir.startswith("/") else f"/{workdir}",  # an image may say "app"
        "user": _user(options, image_config, facts, resolve_user),
        "noNewPrivileges": no_new_privileges,
    }
    as_root = found["user"]["uid"] == 0
    # As Docker does: only root starts with its capabilities in effect; a set-uid program can still reach the bounding set.
    held = capabilities if as_root else []
    found["capabilities"] = {"bounding": capabilities, "effective": held, "permitted": held}
    if options.tty:
        found["terminal"] = True
    if options.oom_score_adj:
        found["oomScoreAdj"] = options.oom_score_adj
    if options.ulimit:
        from pyctl.spec.rlimits import rlimits

        found["rlimits"] = rlimits(options.ulimit)
    return found


def _check_directory(workdir: str, facts: SpecFacts) -> None:
    """Refuse what the runtime could not make a directory of, as Docker does when it creates a container."""
    parts = [part for part in workdir.split("/") if part]
    for end in range(1, len(parts) + 1):
        path = "/" + "/".join(parts[:end])
        if facts.read_file(path) is not None:
            refuse(f"Cannot mkdir: {path} is not a directory")


def _user(options: ContainerOptions, image_config: Mapping[str, Any], facts: SpecFacts, resolve: Any) -> dict[str, Any]:
    user = resolve(options.user or image_config.get("User") or "", options.group_add, facts.read_file)
    found: dict[str, Any] = {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.additional_gids)}
    if options.umask:
        found["umask"] = int(options.umask, 8)
    return found
