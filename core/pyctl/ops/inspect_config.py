"""``Config`` of ``inspect``: the process and its surroundings as the image and the user described them, in Docker's shape."""

from __future__ import annotations

from pyctl.ops.listing import exposed_ports, short_image, user_labels, without_init

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.ops.inspect_facts import ContainerFacts

_STOP_SIGNAL = "io.containerd.image.config.stop-signal"


def container_config(facts: ContainerFacts) -> dict[str, Any]:
    """The whole object, in Docker's order. What Docker leaves out when it is empty is left out."""
    labels, typed = facts.labels, facts.options
    image = facts.image_config or {}
    is_attached = typed is not None and not typed.detach
    wanted = [word.lower() for word in typed.attach] if typed else []
    entrypoint, command = words(facts)
    config: dict[str, Any] = {
        "Hostname": labels.get("nerdctl/hostname") or facts.spec.get("hostname") or "",
        "Domainname": labels.get("nerdctl/domainname", ""),
        "User": labels.get("nerdctl/user", ""),
        "AttachStdin": bool(is_attached and typed and typed.interactive and (not wanted or "stdin" in wanted)),
        "AttachStdout": is_attached and (not wanted or "stdout" in wanted),
        "AttachStderr": is_attached and (not wanted or "stderr" in wanted),
        "ExposedPorts": _exposed(facts),
        "Tty": bool(facts.process.get("terminal")),
        "OpenStdin": bool(typed and typed.interactive),
        "StdinOnce": bool(typed and typed.interactive and not typed.detach),
        "Env": _environment(facts),
        "Cmd": command or None,
        "Healthcheck": facts.label_json("healthcheck"),
        "Image": typed.image if typed else short_image(facts.container.image),
        "Volumes": _volumes(facts) or None,
        "WorkingDir": _working_directory(facts),
        "Entrypoint": entrypoint or None,
        "OnBuild": list(image.get("OnBuild") or ()) or None,
        "Labels": user_labels(labels),
        "StopSignal": _stop_signal(facts),
        "StopTimeout": _number(labels.get("nerdctl/stop-timeout", "")),
        "Shell": image.get("Shell"),
    }
    optional = ("ExposedPorts", "Healthcheck", "StopSignal", "StopTimeout", "Shell")
    return {key: value for key, value in config.items() if key not in optional or value not in (None, "", {}, [])}


def words(facts: ContainerFacts) -> tuple[list[str], list[str]]:
    """Entrypoint and command.

    Without the request it is a guess: the image's entrypoint, if the process begins with it, and the rest.
    """
    from pyctl.spec.process import command_line

    image = facts.image_config or {}
    if facts.options is not None:
        return command_line(facts.options.entrypoint, facts.options.command, image)
    arguments = list(without_init(tuple(facts.process.get("args") or ())))
    first = list(image.get("Entrypoint") or ())
    return (first, arguments[len(first) :]) if first and arguments[: len(first)] == first else ([], arguments)


def _exposed(facts: ContainerFacts) -> dict[str, dict[str, str]]:
    published = (f"{port.container_port}/{port.protocol}" for port in facts.ports)
    return {key: {} for key in sorted({*published, *exposed_ports(facts.labels)})}


def _environment(facts: ContainerFacts) -> list[str]:
    """Without what every container gets: its host name, and a terminal's ``TERM``."""
    own = {f"HOSTNAME={facts.labels.get('nerdctl/hostname', '')}"}
    if facts.process.get("terminal"):
        own.add("TERM=xterm")
    return [text for text in facts.process.get("env") or () if text not in own]


def _volumes(facts: ContainerFacts) -> dict[str, dict[str, str]]:
    """Anonymous ones: the image's, and those of a ``-v`` without a source."""
    typed = facts.options.volume if facts.options else ()
    image = (facts.image_config or {}).get("Volumes") or ()
    return {place: {} for place in (*image, *(text for text in typed if ":" not in text))}


def _working_directory(facts: ContainerFacts) -> str:
    if facts.options is not None:
        return facts.options.workdir or str((facts.image_config or {}).get("WorkingDir") or "")
    place = str(facts.process.get("cwd") or "")
    return "" if place == "/" else place


def _stop_signal(facts: ContainerFacts) -> str:
    """As somebody gave it: the label always has one."""
    signal = facts.labels.get(_STOP_SIGNAL, "")
    if facts.options is not None:
        return facts.options.stop_signal or str((facts.image_config or {}).get("StopSignal") or "")
    return "" if signal == "SIGTERM" else signal


def _number(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdecimal() else None
