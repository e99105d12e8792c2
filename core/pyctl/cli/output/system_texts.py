"""``version`` and ``info`` for people, in Docker's layout, from their JSON shapes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def version_text(found: Mapping[str, Any]) -> str:
    """Client, and server if one answered."""
    client = found["Client"]
    lines = ["Client:"]
    lines += _pairs(
        1,
        19,
        [
            ("Version", client.get("Version", "")),
            ("API version", client.get("ApiVersion", "")),
            ("Python version", client.get("PythonVersion", "")),
            ("OS/Arch", f"{client.get('Os', '')}/{client.get('Arch', '')}"),
            ("Context", client.get("Context", "")),
        ],
    )
    server = found.get("Server")
    if server:
        lines += ["", f"Server: {(server.get('Platform') or {}).get('Name', '')}".rstrip()]
        for component in server.get("Components") or ():
            details = component.get("Details") or {}
            lines.append(f" {component['Name']}:")
            rows = [("Version", component.get("Version", ""))]
            if details.get("ApiVersion"):
                minimum = details.get("MinAPIVersion")
                rows.append(("API version", details["ApiVersion"] + (f" (minimum version {minimum})" if minimum else "")))
            rows.append(("Git commit" if component["Name"] == "Engine" else "GitCommit", details.get("GitCommit", "")))
            if details.get("Os"):
                rows.append(("OS/Arch", f"{details['Os']}/{details.get('Arch', '')}"))
            lines += _pairs(2, 18, rows)
    return "\n".join(lines) + "\n"


def _pairs(indent: int, width: int, rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{' ' * indent}{name + ':':{width}}{value}" for name, value in rows if value]


def info_text(found: Mapping[str, Any]) -> str:
    """Client, then what the server and its host are; Docker's order and words."""
    from pyctl.cli.output.units import binary_size

    client = found.get("ClientInfo") or {}
    lines = ["Client:", f" Version:    {client.get('Version', '')}", f" Context:    {client.get('Context', 'default')}"]
    lines += [f" Namespace:  {found['Namespace']}"] if found.get("Namespace") else []
    lines += [f" Debug Mode: {_word(client.get('Debug', False))}", "", "Server:"]
    if found.get("ServerErrors"):
        return "\n".join(lines) + "\n"  # the errors are the caller's, for standard error
    add = lines.append
    for key, title in (("Containers", "Containers"), ("ContainersRunning", " Running"), ("ContainersPaused", " Paused"),
                       ("ContainersStopped", " Stopped"), ("Images", "Images"), ("ServerVersion", "Server Version"),
                       ("Driver", "Storage Driver"), ("LoggingDriver", "Logging Driver"), ("CgroupDriver", "Cgroup Driver"),
                       ("CgroupVersion", "Cgroup Version")):  # fmt: skip
        if key in found:
            add(f" {title}: {found[key]}")
    plugins = found.get("Plugins") or {}
    if plugins:
        add(" Plugins:")
        for kind in ("Volume", "Network", "Log", "Storage"):
            if plugins.get(kind):
                add(f"  {kind}: {' '.join(plugins[kind])}")
    runtimes = found.get("Runtimes")
    if runtimes:
        add(f" Runtimes: {' '.join(runtimes)}")
    if found.get("DefaultRuntime"):
        add(f" Default Runtime: {found['DefaultRuntime']}")
    if found.get("SecurityOptions"):
        add(" Security Options:")
        for option in found["SecurityOptions"]:
            fields = dict(field.partition("=")[::2] for field in option.split(","))
            add(f"  {fields.pop('name', option)}")
            lines += [f"   {name.title()}: {value}" for name, value in fields.items()]
    for key, title in (("KernelVersion", "Kernel Version"), ("OperatingSystem", "Operating System"), ("OSType", "OSType"),
                       ("Architecture", "Architecture"), ("NCPU", "CPUs")):  # fmt: skip
        if key in found:
            add(f" {title}: {found[key]}")
    if "MemTotal" in found:
        add(f" Total Memory: {binary_size(found['MemTotal'])}")
    for key, title in (("Name", "Name"), ("ID", "ID"), ("DockerRootDir", "Docker Root Dir")):
        if key in found:
            add(f" {title}: {found[key]}")
    return "\n".join(lines) + "\n"


def _word(value: object) -> str:
    return str(value).lower()


def object_text(found: Mapping[str, Any], layout: str) -> str:
    """One object as ``json`` (a line) or through a template.

    Raises:
        TemplateError: malformed, or it does not fit; exit code 64 for a malformed one.
    """
    from pyctl.cli.output.formats import inspect_text

    return inspect_text([found], "{{json .}}" if layout == "json" else layout)
