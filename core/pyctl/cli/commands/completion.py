"""``pyctl completion bash|zsh|fish``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag


class CompletionOptions(Options):
    no_descriptions: bool = flag("--no-descriptions", help="Complete without descriptions")


def completion(options: CompletionOptions, shell: str) -> None:
    """Print the completion script for a shell (bash, zsh or fish)."""
    from pyctl.cli.completion_scripts import SCRIPTS
    from pyctl_hookspecs.errors import InvalidArgumentError

    script = SCRIPTS.get(shell)
    if script is None:
        raise InvalidArgumentError(f'no completion for shell "{shell}"', hint=f"There is one for {', '.join(SCRIPTS)}.")
    asked = "__complete --no-descriptions" if options.no_descriptions else "__complete"
    sys.stdout.write(script.replace("__complete", asked))
