"""The pluggy markers of this project, without importing pluggy, which costs more than a whole ``pyctl ps``.

A marker only leaves its options on the function, where a plug-in manager of the project ``pyctl`` looks for them
(``tests/architecture`` compares with pluggy's own).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pluggy

    hookspec = pluggy.HookspecMarker("pyctl")
    hookimpl = pluggy.HookimplMarker("pyctl")
else:

    def _marker(attribute, **defaults):
        def mark(function=None, **options):
            unknown = set(options) - set(defaults)
            if unknown:
                raise TypeError(f"unknown option {min(unknown)!r}")

            def leave(target):
                setattr(target, attribute, {**defaults, **options})
                return target

            return leave if function is None else leave(function)

        return mark

    hookspec = _marker("pyctl_spec", firstresult=False, historic=False, warn_on_impl=None, warn_on_impl_args=None)
    hookimpl = _marker(
        "pyctl_impl",
        wrapper=False,
        hookwrapper=False,
        optionalhook=False,
        tryfirst=False,
        trylast=False,
        specname=None,
    )
