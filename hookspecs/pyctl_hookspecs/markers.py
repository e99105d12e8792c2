"""The pluggy markers of this project."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("pyctl")
hookimpl = pluggy.HookimplMarker("pyctl")
