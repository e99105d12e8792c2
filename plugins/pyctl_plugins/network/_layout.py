"""What stands in the table ``inet pyctl``: its maps, sets and rules as nft's text, and the part of one network."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_plugins.network._conflist import BridgeConfig

VERSION = "v2"  # an empty chain: a table of another version is replaced
MAPS = ("ports4", "bound4", "ports6", "bound6", "local6")

# The kernel has no route_localnet for IPv6: whatever is addressed to ::1 stays on the loopback device. So a packet
# for a published port is given the bridge's address as its source and this address, of the prefix that is to be
# discarded (RFC 6666), as its destination, before it is tracked; then it can be translated like any other, and its
# answers are given ::1 again when they are about to be delivered. Nobody can send it from outside.
LOOPBACK6 = "100::7079:6374:6c"

_TABLE = f"""\
create table inet pyctl
add chain inet pyctl {VERSION}
add map inet pyctl ports4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
add map inet pyctl bound4 {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
add map inet pyctl ports6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
add map inet pyctl bound6 {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }}
add map inet pyctl local6 {{ type inet_proto . inet_service : ipv6_addr; }}
add set inet pyctl bridges {{ type ifname; }}
add set inet pyctl closed {{ type ifname; }}
add set inet pyctl internal {{ type ifname; }}
add set inet pyctl same {{ type ifname . ifname; }}
add set inet pyctl own4 {{ type ipv4_addr . ifname; flags interval; }}
add set inet pyctl masq4 {{ type ipv4_addr; flags interval; }}
add set inet pyctl hairpin4 {{ type ipv4_addr . ipv4_addr; flags interval; }}
add set inet pyctl own6 {{ type ipv6_addr . ifname; flags interval; }}
add set inet pyctl masq6 {{ type ipv6_addr; flags interval; }}
add set inet pyctl hairpin6 {{ type ipv6_addr . ipv6_addr; flags interval; }}
add chain inet pyctl raw {{ type filter hook prerouting priority raw; }}
add chain inet pyctl loopback {{ type filter hook output priority raw; }}
add chain inet pyctl prerouting {{ type nat hook prerouting priority -105; }}
add chain inet pyctl output {{ type nat hook output priority -105; }}
add chain inet pyctl input {{ type filter hook input priority 150; }}
add chain inet pyctl forward {{ type filter hook forward priority filter; }}
add chain inet pyctl postrouting {{ type nat hook postrouting priority srcnat; }}
"""

_RULES = f"""\
raw iifname @bridges ip daddr 127.0.0.0/8 drop
raw iifname @bridges ip saddr 127.0.0.0/8 drop
raw ip6 daddr {LOOPBACK6} drop
raw ip6 saddr {LOOPBACK6} drop
loopback ip6 daddr ::1 ip6 saddr set meta l4proto . th dport map @local6 ip6 daddr set {LOOPBACK6}
prerouting ip daddr 127.0.0.0/8 return
prerouting dnat ip to ip daddr . meta l4proto . th dport map @bound4
prerouting fib daddr type local dnat ip to meta l4proto . th dport map @ports4
prerouting dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound6
prerouting fib daddr type local dnat ip6 to meta l4proto . th dport map @ports6
output dnat ip to ip daddr . meta l4proto . th dport map @bound4
output fib daddr type local dnat ip to meta l4proto . th dport map @ports4
output ip6 daddr ::1 return
output dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound6
output fib daddr type local dnat ip6 to meta l4proto . th dport map @ports6
input ct direction reply ct status dnat ip6 saddr {LOOPBACK6} ip6 saddr set ::1 ip6 daddr set ::1
forward iifname . oifname @same accept
forward iifname @internal drop
forward oifname @internal drop
forward oifname @closed ct state established,related accept
forward oifname @closed ct status dnat accept
forward oifname @closed drop
postrouting oifname @bridges ip saddr 127.0.0.0/8 masquerade
postrouting ct status dnat ip saddr . ip daddr @hairpin4 masquerade
postrouting ct status dnat ip6 saddr . ip6 daddr @hairpin6 masquerade
postrouting ip saddr . oifname @own4 return
postrouting ip6 saddr . oifname @own6 return
postrouting ip daddr 224.0.0.0/4 return
postrouting ip6 daddr ff00::/8 return
postrouting ip saddr @masq4 masquerade
postrouting ip6 saddr @masq6 masquerade
"""

LAYOUT = _TABLE + "".join(f"add rule inet pyctl {line}\n" for line in _RULES.splitlines())
RULE_COUNT = _RULES.count("\n")


def about(config: BridgeConfig) -> str:
    """A network's settings as one line: the comment of its bridge, so that a look tells whether the table is right."""
    flags = (
        ("masquerade", config.masquerade),
        ("closed", config.is_closed),
        ("internal", config.is_internal),
        ("isolated", config.is_isolated),
    )
    text = ",".join([*config.subnets, *(name for name, is_set in flags if is_set)])
    if len(text) <= 120:
        return text
    from hashlib import sha256  # a comment has room for 128 characters, a network for many subnets

    return sha256(text.encode()).hexdigest()


def elements(config: BridgeConfig) -> list[str]:
    """The elements of sets that a network as a whole needs, as ``SET { ELEMENT }``; the bridge itself is the first."""
    bridge = f'"{config.bridge}"'
    lines = [f'bridges {{ {bridge} comment "{about(config)}" }}']
    if not config.is_isolated:
        lines.append(f"same {{ {bridge} . {bridge} }}")
    if config.is_closed:
        lines.append(f"closed {{ {bridge} }}")
    if config.is_internal:
        lines.append(f"internal {{ {bridge} }}")
    for subnet in config.subnets:
        family = 6 if ":" in subnet else 4
        lines.append(f"hairpin{family} {{ {subnet} . {subnet} }}")
        if config.masquerade:
            lines += [f"own{family} {{ {subnet} . {bridge} }}", f"masq{family} {{ {subnet} }}"]
    return lines


def add(lines: list[str]) -> str:
    """A script that adds elements; those that are there stay."""
    return "".join(f"add element inet pyctl {line}\n" for line in lines)


def ask_for(config: BridgeConfig, lines: list[str]) -> str:
    """A script that fails when one of a network's elements is missing."""
    asked = [f'bridges {{ "{config.bridge}" }}']
    for line in lines[1:]:
        # By one address: a subnet that ends where another begins is not always found as a whole.
        asked.append(line.partition("/")[0] + " }" if line.startswith("masq") else line)
    return "".join(f"get element inet pyctl {line}\n" for line in asked)


def delete(lines: list[str]) -> str:
    """A script that deletes elements, whether they are there or not."""
    return "".join(f"add element inet pyctl {line}\ndelete element inet pyctl {line}\n" for line in lines)
