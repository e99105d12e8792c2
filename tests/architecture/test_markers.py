"""Our markers leave on a function what pluggy's leave, and cost no pluggy."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pluggy
import pytest

from pyctl_hookspecs import hookimpl, hookspec


def options_left_by(marker: Any, attribute: str, **options: Any) -> dict[str, Any]:
    def hook() -> None: ...

    marked = marker(**options)(hook) if options else marker(hook)
    assert marked is hook
    found: dict[str, Any] = getattr(hook, attribute)
    return found


@pytest.mark.parametrize("options", [{}, {"tryfirst": True}, {"wrapper": True, "specname": "x"}])
def test_an_implementation_is_marked_as_pluggy_marks_it(options: dict[str, Any]) -> None:
    theirs = options_left_by(pluggy.HookimplMarker("pyctl"), "pyctl_impl", **options)
    assert options_left_by(hookimpl, "pyctl_impl", **options) == theirs


@pytest.mark.parametrize("options", [{}, {"firstresult": True}])
def test_a_specification_is_marked_as_pluggy_marks_it(options: dict[str, Any]) -> None:
    theirs = options_left_by(pluggy.HookspecMarker("pyctl"), "pyctl_spec", **options)
    assert options_left_by(hookspec, "pyctl_spec", **options) == theirs


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(TypeError, match="unknown option 'tryfrist'"):
        hookimpl(tryfrist=True)  # type: ignore[call-overload]


def test_contracts_and_built_in_plug_ins_load_without_pluggy() -> None:
    program = (
        "import sys\n"
        "import pyctl_hookspecs.privilege, pyctl_plugins.privilege.rootful, pyctl.ops.settings\n"
        "pyctl.ops.settings.find_layout()\n"
        "print('pluggy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
