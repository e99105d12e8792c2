"""Limits: CPU, memory, processes and block I/O, for cgroup v1 and v2."""

from __future__ import annotations

from pyctl.spec.units import flag_bytes, nano_cpus, refuse, refuse_early, refuse_flag, size_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.spec.cgroups import CgroupFacts
    from pyctl.spec.options import ContainerOptions

_MINIMUM_MEMORY = 6 << 20
_PERIOD_US = 100_000


def linux_resources(options: ContainerOptions, cgroups: CgroupFacts, warnings: list[str]) -> dict[str, Any]:
    """``linux.resources`` without devices. What this kernel cannot do is left out and said in ``warnings``.

    Raises:
        InvalidArgumentError: a malformed or contradictory limit, in Docker's words.
    """
    found: dict[str, Any] = {}
    for name, part in (
        ("memory", _memory(options, cgroups, warnings)),
        ("cpu", _cpu(options, cgroups)),
        ("blockIO", _block_io(options, cgroups, warnings)),
    ):
        if part:
            found[name] = part
    if options.pids_limit > 0:
        found["pids"] = {"limit": options.pids_limit}
    if options.cgroup_conf:
        if cgroups.version != 2:
            refuse("cannot use --cgroup-conf without cgroup v2")
        found["unified"] = dict(_pair(text, "--cgroup-conf") for text in options.cgroup_conf)
    return found


def _memory(options: ContainerOptions, cgroups: CgroupFacts, warnings: list[str]) -> dict[str, Any]:
    limit = flag_bytes(options.memory, "-m, --memory")
    reservation = flag_bytes(options.memory_reservation, "--memory-reservation")
    swap = -1 if options.memory_swap == "-1" else flag_bytes(options.memory_swap, "--memory-swap")
    if 0 < limit < _MINIMUM_MEMORY:
        refuse("Minimum memory limit allowed is 6MB")
    if 0 < reservation < _MINIMUM_MEMORY:
        refuse("Minimum memory reservation allowed is 6MB")
    if limit and reservation > limit:
        refuse("Minimum memory limit can not be less than memory reservation limit, see usage")
    if swap > 0 and not limit:
        refuse("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < limit:
        refuse("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not -1 <= options.memory_swappiness <= 100:
        refuse_early(f"invalid value: {options.memory_swappiness}. Valid memory swappiness range is 0-100")
    found: dict[str, Any] = {}
    if limit:
        found["limit"] = limit
        if cgroups.swap_limit:
            found["swap"] = swap or 2 * limit
        else:
            warnings.append(
                "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
            )
    elif swap and cgroups.swap_limit:
        found["swap"] = swap
    if reservation:
        found["reservation"] = reservation
    if options.memory_swappiness >= 0:
        if cgroups.swappiness:
            found["swappiness"] = options.memory_swappiness
        else:
            warnings.append(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
                "Memory swappiness discarded."
            )
    if options.oom_kill_disable:
        if cgroups.oom_kill_disable:
            found["disableOOMKiller"] = True
            if not limit:
                warnings.append(
                    "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
                    "running out of resources."
                )
        else:
            warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    if options.kernel_memory:
        flag_bytes(options.kernel_memory, "--kernel-memory")
        warnings.append("Specifying a kernel memory limit is deprecated and has no effect.")
    return found


def _cpu(options: ContainerOptions, cgroups: CgroupFacts) -> dict[str, Any]:
    import os

    nano = nano_cpus(options.cpus)
    quota, period = max(options.cpu_quota, 0), options.cpu_period
    if nano and period:
        refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano and quota:
        refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    online = os.cpu_count() or 1
    if nano and not 10_000_000 <= nano <= online * 1_000_000_000:
        refuse(f"Range of CPUs is from 0.01 to {online}.00, as there are only {online} CPUs available")
    if period and not 1_000 <= period <= 1_000_000:
        refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1_000:
        refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if options.cpu_shares < 0:
        refuse(f"invalid CPU shares ({options.cpu_shares}): value must be a positive integer")
    found: dict[str, Any] = {}
    if nano:
        quota, period = nano * _PERIOD_US // 1_000_000_000, _PERIOD_US
    for key, value in (("shares", options.cpu_shares), ("quota", quota), ("period", period)):
        if value:
            found[key] = value
    if options.cpu_rt_period or options.cpu_rt_runtime:
        if not cgroups.realtime:
            refuse("kernel does not support CPU real-time scheduler")
        if options.cpu_rt_period and options.cpu_rt_runtime > options.cpu_rt_period:
            refuse("cpu real-time runtime cannot be higher than cpu real-time period")
        found |= {"realtimePeriod": options.cpu_rt_period} if options.cpu_rt_period else {}
        found |= {"realtimeRuntime": options.cpu_rt_runtime} if options.cpu_rt_runtime else {}
    for key, text, word in (("cpus", options.cpuset_cpus, "cpus"), ("mems", options.cpuset_mems, "mems")):
        if text:
            _check_set(text, word, online)
            found[key] = text
    return found


def _check_set(text: str, word: str, online: int) -> None:
    wanted: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not low.isdecimal() or (dash and (not high.isdecimal() or int(high) < int(low))) or int(high or low) > 8191:
            refuse(f"Invalid value {text} for cpuset {word}: invalid format: {text}")
        wanted |= set(range(int(low), int(high or low) + 1))
    available = set(range(online)) if word == "cpus" else _nodes()
    if not wanted <= available:
        noun = "CPUs" if word == "cpus" else "memory nodes"
        refuse(f"Requested {noun} are not available - requested {text}, available: {_ranges(available)}")


def _nodes() -> set[int]:
    found: set[int] = set()
    try:
        with open("/sys/devices/system/node/online") as file:
            for part in file.read().strip().split(","):
                low, _, high = part.partition("-")
                found |= set(range(int(low), int(high or low) + 1))
    except OSError:
        found = {0}  # a kernel without NUMA has node 0
    return found


def _ranges(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    if numbers == set(range(low, high + 1)):
        return f"{low}-{high}" if high > low else str(low)
    return ",".join(map(str, sorted(numbers)))


def _block_io(options: ContainerOptions, cgroups: CgroupFacts, warnings: list[str]) -> dict[str, Any]:
    if options.blkio_weight and not 10 <= options.blkio_weight <= 1000:
        refuse("Range of blkio weight is from 10 to 1000")
    found: dict[str, Any] = {}
    weights = [_weight(text) for text in options.blkio_weight_device]
    if options.blkio_weight or weights:
        if cgroups.blkio_weight:
            found |= {"weight": options.blkio_weight} if options.blkio_weight else {}
            found |= {"weightDevice": weights} if weights else {}
        else:
            warnings.append("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.")
    for key, texts, flag, counts in (
        ("throttleReadBpsDevice", options.device_read_bps, "--device-read-bps", False),
        ("throttleWriteBpsDevice", options.device_write_bps, "--device-write-bps", False),
        ("throttleReadIOPSDevice", options.device_read_iops, "--device-read-iops", True),
        ("throttleWriteIOPSDevice", options.device_write_iops, "--device-write-iops", True),
    ):
        if texts:
            found[key] = [_throttle(text, flag, counts) for text in texts]
    return found


def _throttle(text: str, flag: str, counts: bool) -> dict[str, Any]:
    path, rate = _device_value(text, flag)
    try:
        value = int(rate) if counts else size_bytes(rate)
        if value < 0:
            raise ValueError
    except ValueError:
        what = "<number>. Number must be a positive integer"
        if not counts:
            what = "<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        refuse_flag(text, flag, f"invalid rate for device: {text}. The correct format is <device-path>:{what}")
    return {**_numbered(path, flag), "rate": value}


def _weight(text: str) -> dict[str, Any]:
    flag = "--blkio-weight-device"
    path, weight = _device_value(text, flag)
    if not weight.isdecimal() or (int(weight) and not 10 <= int(weight) <= 1000):
        refuse_flag(text, flag, f"invalid weight for device: {text}")
    return {**_numbered(path, flag), "weight": int(weight)}


def _device_value(text: str, flag: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon or not value:
        refuse_flag(text, flag, f"bad format: {text}")
    if not path.startswith("/dev/"):
        refuse_flag(text, flag, f"bad format for device path: {text}")
    return path, value


def _numbered(path: str, flag: str) -> dict[str, int]:
    from pyctl.spec.devices import device_number

    major, minor = device_number(path, flag)
    return {"major": major, "minor": minor}


def _pair(text: str, flag: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        refuse_flag(text, flag, "expected KEY=VALUE")
    return key, value
