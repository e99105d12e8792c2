"""What the daemon says about itself."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, daemon_pb2
from pyctl.containerd.records import PluginInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctl.containerd.calls import Calls

_SERVICE = "/containerd.services.introspection.v1.Introspection/"


def version(calls: Calls) -> tuple[str, str]:
    """Version and revision, without a leading ``v``."""
    answer = calls.unary("/containerd.services.version.v1.Version/Version", common_pb2.Empty(), daemon_pb2.VersionResponse)
    return answer.version.removeprefix("v"), answer.revision


def plugins(calls: Calls, filters: Iterable[str]) -> tuple[PluginInfo, ...]:
    """Plug-ins matching any of the filters (``type==io.containerd.snapshotter.v1``); all without one."""
    from pyctl.containerd.wire import platform_text

    request = daemon_pb2.PluginsRequest(filters=list(filters))
    answer = calls.unary(_SERVICE + "Plugins", request, daemon_pb2.PluginsResponse)
    return tuple(
        PluginInfo(
            type=plugin.type,
            plugin_id=plugin.id,
            capabilities=tuple(plugin.capabilities),
            exports=dict(plugin.exports),
            platforms=tuple(platform_text(platform) for platform in plugin.platforms),
            init_error=plugin.init_err.message,
            init_code=plugin.init_err.code,
        )
        for plugin in answer.plugins
    )


def server_uuid(calls: Calls) -> str:
    return calls.unary(_SERVICE + "Server", common_pb2.Empty(), daemon_pb2.ServerResponse).uuid
