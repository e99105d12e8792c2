"""iptables rules that CNI plug-ins leave behind: found by what they name, taken away one by one.

With the namespace gone the bridge and ptp plug-ins cannot know which addresses they masqueraded; and the firewall
plug-in never takes back what it wrote for a bridge.
"""

from __future__ import annotations

from pyctl_hookspecs import PyctlError

_WAIT = ("-w", "30")  # seconds, for whoever writes rules at this moment
_COMMANDS = ("iptables", "ip6tables")
_PORTMAP_CHAIN = "CNI-HOSTPORT-DNAT"
_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def has_masquerade(network: str, owner: str) -> bool:
    """Is there a rule that masquerades what this container sends? True as well where iptables cannot tell."""
    listed = [rules for command in _COMMANDS if (rules := _rules(command, "nat")) is not None]
    return not listed or any(_is_of(network, owner, rule) and rule[1] == "POSTROUTING" for rules in listed for rule in rules)


def has_ports(network: str, owner: str) -> bool:
    """Is there a rule of portmap's that leads to this container, and does anything lead to that rule?"""
    rules = [rule for command in _COMMANDS for rule in _rules(command, "nat") or ()]
    leads_to_all = any(rule[1] == "PREROUTING" and rule[-1] == _PORTMAP_CHAIN for rule in rules)
    return leads_to_all and any(rule[1] == _PORTMAP_CHAIN and _is_of(network, owner, rule) for rule in rules)


def remove_container(network: str, owner: str) -> None:
    """Take away every address translation made for a container on a network, and the chains made for it alone.

    Raises:
        PyctlError: iptables refused.
    """
    for command in _COMMANDS:
        rules = _rules(command, "nat") or []
        wanted = [rule for rule in rules if _is_of(network, owner, rule)]
        _remove(command, "nat", wanted)
        # A chain of CNI's that only these rules led to is the container's own.
        kept = {target for rule in rules if rule not in wanted for target in rule[-1:]}
        for chain in {rule[-1] for rule in wanted if rule[-1].startswith("CNI-") and rule[-2] == "-j"} - kept:
            _run(command, *_WAIT, "-t", "nat", "-F", chain)
            _run(command, *_WAIT, "-t", "nat", "-X", chain)


def remove_bridge(bridge: str) -> None:
    """Take away what isolates a bridge that is no more. The chains stay, empty or not: all bridges share them.

    Raises:
        PyctlError: iptables refused.
    """
    for command in _COMMANDS:
        rules = _rules(command, "filter") or []
        _remove(command, "filter", [rule for rule in rules if rule[1].startswith("CNI-ISOLATION-") and bridge in rule])


def _remove(command: str, table: str, rules: list[list[str]]) -> None:
    for rule in rules:
        _run(command, *_WAIT, "-t", table, "-D", *rule[1:])


def _is_of(network: str, owner: str, rule: list[str]) -> bool:
    return any(f'name: "{network}" id: "{owner}"' in word for word in rule)


def _rules(command: str, table: str) -> list[list[str]] | None:
    """Every rule as words (``-A CHAIN ...``), or None where there is no such command or table."""
    from shlex import split
    from subprocess import run

    try:
        done = run([_tool(command), *_WAIT, "-t", table, "-S"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        return None
    return [split(line) for line in done.stdout.splitlines() if line.startswith("-A ")]


def _run(command: str, *arguments: str) -> None:
    from subprocess import run

    done = run([_tool(command), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PyctlError(f"{command} {' '.join(arguments)}: {done.stderr.strip()}")


def _tool(command: str) -> str:
    from shutil import which

    return which(command, path=_PATH) or command
