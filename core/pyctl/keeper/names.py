"""What a container is called and where it is, from its ``meta.json``: the hosts files and the resolver agree on it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_DEFAULT_NETWORK = "bridge"


def names_of(meta: Mapping[str, Any], network: str) -> tuple[str, ...]:
    """The names on a network: nerdctl's in nerdctl's order, then the short ID and the aliases.

    On the default bridge there are no ``.network`` forms and no short ID, as in nerdctl.
    """
    hostname, domain, name = (meta.get(key) or "" for key in ("Hostname", "Domainname", "Name"))
    names = []
    if hostname and domain:
        names.append(f"{hostname}.{domain}")
    words = [hostname, name]
    if network != _DEFAULT_NETWORK:
        words.append((meta.get("ID") or "")[:12])
    for word in (*words, *((meta.get("Aliases") or {}).get(network) or ())):
        if word:
            names.append(word)
            if network != _DEFAULT_NETWORK:
                names.append(f"{word}.{network}")
    return tuple(dict.fromkeys(names))


def addresses(result: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The addresses in a CNI result, without their prefix lengths."""
    return tuple(ip["address"].partition("/")[0] for ip in (result or {}).get("ips") or ())
