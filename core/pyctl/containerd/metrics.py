"""Cgroup metrics of both versions, brought to one shape."""

from __future__ import annotations

from pyctl.containerd.records import NetworkCounters, TaskMetrics
from pyctl.containerd.wire import time_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyctl.containerd._api import cgroups1_pb2, cgroups2_pb2, tasks_pb2

_V1 = "io.containerd.cgroups.v1.Metrics"
_V2 = "io.containerd.cgroups.v2.Metrics"
_NO_LIMIT = 1 << 62  # both kernels write "none" as a number near 2**63


def decode(metric: tasks_pb2.Metric) -> TaskMetrics:
    """Metrics of a kind we do not know (another runtime's) come back with zeros and ``cgroup_version`` 0."""
    kind = metric.data.type_url
    facts: dict[str, Any] = {"cgroup_version": 0}
    if kind == _V2:
        from pyctl.containerd._api import cgroups2_pb2

        facts = _from_v2(cgroups2_pb2.Metrics.FromString(metric.data.value))
    elif kind == _V1:
        from pyctl.containerd._api import cgroups1_pb2

        facts = _from_v1(cgroups1_pb2.Metrics.FromString(metric.data.value))
    return TaskMetrics(container_id=metric.id, timestamp=time_text(metric.timestamp), **facts)


def _from_v1(message: cgroups1_pb2.Metrics) -> dict[str, Any]:
    memory, usage = message.memory, message.cpu.usage
    blocks = message.blkio.io_service_bytes_recursive
    return {
        "cgroup_version": 1,
        "cpu_ns": usage.total,
        "cpu_user_ns": usage.user,
        "cpu_system_ns": usage.kernel,
        "memory_bytes": max(0, memory.usage.usage - memory.total_inactive_file),
        "memory_limit_bytes": _limit(memory.usage.limit),
        "memory_cache_bytes": memory.total_cache,
        "pids": message.pids.current,
        "pids_limit": _limit(message.pids.limit),
        "block_read_bytes": sum(entry.value for entry in blocks if entry.op.lower() == "read"),
        "block_write_bytes": sum(entry.value for entry in blocks if entry.op.lower() == "write"),
        "networks": _networks(message.network),
    }


def _from_v2(message: cgroups2_pb2.Metrics) -> dict[str, Any]:
    memory, cpu = message.memory, message.cpu
    return {
        "cgroup_version": 2,
        "cpu_ns": cpu.usage_usec * 1000,
        "cpu_user_ns": cpu.user_usec * 1000,
        "cpu_system_ns": cpu.system_usec * 1000,
        "memory_bytes": max(0, memory.usage - memory.inactive_file),
        "memory_limit_bytes": _limit(memory.usage_limit),
        "memory_cache_bytes": memory.file,
        "pids": message.pids.current,
        "pids_limit": _limit(message.pids.limit),
        "block_read_bytes": sum(entry.rbytes for entry in message.io.usage),
        "block_write_bytes": sum(entry.wbytes for entry in message.io.usage),
        "networks": _networks(message.network),
    }


def _limit(value: int) -> int:
    return 0 if value >= _NO_LIMIT else value


def _networks(messages: Iterable[cgroups1_pb2.NetworkStat | cgroups2_pb2.NetworkStat]) -> tuple[NetworkCounters, ...]:
    return tuple(
        NetworkCounters(
            name=network.name,
            received_bytes=network.rx_bytes,
            sent_bytes=network.tx_bytes,
            received_packets=network.rx_packets,
            sent_packets=network.tx_packets,
        )
        for network in messages
    )
