"""Hosts that filter with iptables' old tables: nft cannot see those, so iptables itself is asked."""

from __future__ import annotations

import os

from pyctl_hookspecs import PyctlError, UnsupportedError

_PROGRAMS = {4: ("iptables-legacy", "iptables"), 6: ("ip6tables-legacy", "ip6tables")}
_TABLES = {4: "/proc/thread-self/net/ip_tables_names", 6: "/proc/thread-self/net/ip6_tables_names"}


def let_forward(bridge: str, comment: str, family: int) -> bool:
    """Let a bridge's packets pass the old FORWARD chain, if this host has one; True if it did not before.

    Raises:
        UnsupportedError: it has one, and there is no iptables to change it with.
        PyctlError: iptables refused.
    """
    if not _is_used(family):
        return False
    changed = False
    for rule in _rules(bridge, comment):
        if _run(family, ["-C", "FORWARD", *rule]) != 0:
            if _run(family, ["-I", "FORWARD", *rule]) != 0:
                raise PyctlError(f"iptables refused to let {bridge} through its FORWARD chain")
            changed = True
    return changed


def stop_forwarding(bridge: str, comment: str, family: int) -> None:
    """Undo ``let_forward``, if this host has such a chain and a program that changes it."""
    if not _is_used(family):
        return
    for rule in _rules(bridge, comment):
        try:
            while _run(family, ["-D", "FORWARD", *rule]) == 0:
                pass  # two who came at once may have said it twice
        except UnsupportedError:
            return


def _is_used(family: int) -> bool:
    try:
        with open(_TABLES[family]) as file:
            return "filter" in file.read().split()
    except OSError:
        return False  # the usual case: the kernel has no old tables loaded


def _rules(bridge: str, comment: str) -> list[list[str]]:
    return [[direction, bridge, "-m", "comment", "--comment", comment, "-j", "ACCEPT"] for direction in ("-i", "-o")]


def _run(family: int, arguments: list[str]) -> int:
    from pyctl_plugins.network import _programs

    program = _programs.find(*_PROGRAMS[family])
    if not program:
        raise UnsupportedError(
            "this host filters packets with iptables' old tables, and no iptables-legacy is there to let containers through",
            hint="install the package iptables",
        )
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
        pid = os.posix_spawn(program, [program, "-w", *arguments], {}, file_actions=actions)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(null)
