"""What every ``inspect`` does with its names: print what was found, then say what was not."""

from __future__ import annotations

import sys

from pyctl_hookspecs.errors import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def print_objects(names: Sequence[str], look_up: Callable[[str], Any], layout: str) -> int:
    """Print the objects in one go and report a name that is missing after them; the exit status is 1 if there was one.

    Raises:
        TemplateError: the layout is malformed or does not fit.
    """
    from pyctl.cli.output.formats import inspect_text

    objects, errors = [], []
    for name in names:
        try:
            objects.append(look_up(name))
        except PyctlError as error:
            errors.append(error)
    sys.stdout.write(inspect_text(objects, layout))
    return report_all(errors)


def report_all(errors: Sequence[BaseException]) -> int:
    """Report errors that did not end the command; 1 if there are any."""
    from pyctl.cli.errors import report

    for error in errors:
        report(error)
    return 1 if errors else 0
