"""Every command by its words: where its code is, how it is used, what it does. Read without importing any of them."""

from __future__ import annotations

_HERE = "pyctl.cli.commands."

# path -> (module:function below cli/commands, arguments as help shows them, one-line help)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "attach": (
        "attach:attach",
        "[OPTIONS] CONTAINER",
        "Attach local standard input, output, and error streams to a running container",
    ),
    "completion": ("completion:completion", "[OPTIONS] SHELL", "Print the completion script for a shell (bash, zsh or fish)"),
    "create": ("run:create", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a new container"),
    "exec": ("exec:exec_", "[OPTIONS] CONTAINER COMMAND [ARG...]", "Execute a command in a running container"),
    "image inspect": (
        "inspect:image_inspect",
        "[OPTIONS] IMAGE [IMAGE...]",
        "Display detailed information on one or more images",
    ),
    "images": ("images:images", "[OPTIONS] [REPOSITORY[:TAG]]", "List images"),
    "info": ("info:info", "[OPTIONS]", "Display system-wide information"),
    "inspect": ("inspect:inspect", "[OPTIONS] NAME|ID [NAME|ID...]", "Return low-level information on pyctl objects"),
    "container inspect": (
        "inspect:container_inspect",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        "Display detailed information on one or more containers",
    ),
    "kill": ("kill:kill", "[OPTIONS] CONTAINER [CONTAINER...]", "Kill one or more running containers"),
    "load": ("load:load", "[OPTIONS]", "Load an image from a tar archive or STDIN"),
    "logs": ("logs:logs", "[OPTIONS] CONTAINER", "Fetch the logs of a container"),
    "network connect": (
        "network_connect:connect",
        "[OPTIONS] NETWORK CONTAINER",
        "Connect a container to a network",
    ),
    "network create": ("network:create", "[OPTIONS] NETWORK", "Create a network"),
    "network disconnect": (
        "network_connect:disconnect",
        "[OPTIONS] NETWORK CONTAINER",
        "Disconnect a container from a network",
    ),
    "network inspect": (
        "network:inspect",
        "[OPTIONS] NETWORK [NETWORK...]",
        "Display detailed information on one or more networks",
    ),
    "network ls": ("network:ls", "[OPTIONS]", "List networks"),
    "network prune": ("network:prune", "[OPTIONS]", "Remove all unused networks"),
    "network repair": ("network:repair", "", "Put back what running containers' networks miss, remove what nobody uses"),
    "network rm": ("network:rm", "[OPTIONS] NETWORK [NETWORK...]", "Remove one or more networks"),
    "plugin check": ("plugin:check", "", "Load and examine every installed plug-in"),
    "plugin ls": ("plugin:ls", "[OPTIONS]", "List plug-ins"),
    "port": (
        "port:port",
        "CONTAINER [PRIVATE_PORT[/PROTO]]",
        "List port mappings or a specific mapping for the container",
    ),
    "ps": ("ps:ps", "[OPTIONS]", "List containers"),
    "pull": ("pull:pull", "[OPTIONS] NAME[:TAG|@DIGEST]", "Download an image from a registry"),
    "restart": ("restart:restart", "[OPTIONS] CONTAINER [CONTAINER...]", "Restart one or more containers"),
    "rm": ("rm:rm", "[OPTIONS] CONTAINER [CONTAINER...]", "Remove one or more containers"),
    "rmi": ("rmi:rmi", "[OPTIONS] IMAGE [IMAGE...]", "Remove one or more images"),
    "run": ("run:run", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create and run a new container from an image"),
    "save": (
        "save:save",
        "[OPTIONS] IMAGE [IMAGE...]",
        "Save one or more images to a tar archive (streamed to STDOUT by default)",
    ),
    "start": ("start:start", "[OPTIONS] CONTAINER [CONTAINER...]", "Start one or more stopped containers"),
    "stop": ("stop:stop", "[OPTIONS] CONTAINER [CONTAINER...]", "Stop one or more running containers"),
    "system reconcile": ("system:reconcile", "", "Undo what interrupted commands left behind"),
    "system restart": ("system:restart", "", "Restart the containerd that pyctl manages"),
    "system restore": ("system:restore", "", "Bring back the containers that run after a boot"),
    "system start": ("system:start", "", "Start the containerd that pyctl manages"),
    "system status": ("system:status", "[OPTIONS]", "Show which containerd is used and what state it is in"),
    "system stop": ("system:stop", "", "Stop the containerd that pyctl manages"),
    "tag": (
        "tag:tag",
        "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    ),
    "version": ("version:version", "[OPTIONS]", "Show the pyctl version information"),
    "volume create": ("volume:create", "[OPTIONS] [VOLUME]", "Create a volume"),
    "volume inspect": (
        "volume:inspect",
        "[OPTIONS] VOLUME [VOLUME...]",
        "Display detailed information on one or more volumes",
    ),
    "volume ls": ("volume:ls", "[OPTIONS]", "List volumes"),
    "volume prune": ("volume:prune", "[OPTIONS]", "Remove unused local volumes"),
    "volume rm": ("volume:rm", "[OPTIONS] VOLUME [VOLUME...]", "Remove one or more volumes"),
    "wait": (
        "wait:wait",
        "CONTAINER [CONTAINER...]",
        "Block until one or more containers stop, then print their exit codes",
    ),
}

# Called by the keeper and by completion scripts; nobody sees them.
HIDDEN: dict[str, tuple[str, str, str]] = {
    "__complete": ("complete:complete", "[WORD...]", "Print what could come next"),
    "internal adopt": ("internal:adopt", "CONTAINER", "Connect a container that another tool has started"),
    "internal exited": ("internal:exited", "CONTAINER", "Deal with a container's exit"),
    "internal prepare": ("internal:prepare", "CONTAINER", "Make what a container needs that another tool starts"),
    "internal repair": ("internal:repair", "", "Repair the networks of the namespace"),
    "internal restart": ("internal:restart", "CONTAINER", "Start a container again because its restart policy says so"),
}

GROUPS: dict[str, str] = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "plugin": "Manage plug-ins",
    "system": "Manage pyctl",
    "volume": "Manage volumes",
}
HIDDEN_GROUPS = frozenset({"internal"})

# Further paths to the same command. The first word of a pair's key may be a group: it is listed in that group's help.
SAME: dict[str, str] = {
    "container attach": "attach",
    "container create": "create",
    "container exec": "exec",
    "container kill": "kill",
    "container logs": "logs",
    "container ls": "ps",
    "container port": "port",
    "container restart": "restart",
    "container rm": "rm",
    "container run": "run",
    "container start": "start",
    "container stop": "stop",
    "container wait": "wait",
    "image load": "load",
    "image ls": "images",
    "image pull": "pull",
    "image rm": "rmi",
    "image save": "save",
    "image tag": "tag",
    "system info": "info",
}

# Other spellings of a path; never listed, only understood.
SPELLINGS: dict[str, str] = {
    "container list": "container ls",
    "container ps": "container ls",
    "container remove": "container rm",
    "image list": "image ls",
    "image remove": "image rm",
    "network list": "network ls",
    "network remove": "network rm",
    "plugin list": "plugin ls",
    "remove": "rm",
    "volume list": "volume ls",
    "volume remove": "volume rm",
}

COMMON = ("run", "exec", "ps", "pull", "images", "version", "info")


def find(path: str) -> tuple[str, str, str] | None:
    """The command behind a path in any of its spellings, with the full name of its function."""
    path = SPELLINGS.get(path, path)
    path = SAME.get(path, path)
    entry = COMMANDS.get(path) or HIDDEN.get(path)
    return None if entry is None else (_HERE + entry[0], entry[1], entry[2])


def is_group(path: str) -> bool:
    return path in GROUPS or path in HIDDEN_GROUPS


def children(group: str) -> dict[str, str]:
    """The listed commands of a group (empty: the top level) with their one-line help."""
    prefix = f"{group} " if group else ""
    found = {path[len(prefix) :]: entry[2] for path, entry in COMMANDS.items() if path.startswith(prefix)}
    found |= {path[len(prefix) :]: COMMANDS[same][2] for path, same in SAME.items() if path.startswith(prefix)}
    return {name: found[name] for name in sorted(found) if " " not in name}
