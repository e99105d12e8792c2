"""Standard streams in every state a caller may leave them in."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash with ``$PYCTL`` for this source tree's command; its pipe's first exit status is the result's."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYCTL": f"{sys.executable} -m pyctl"}
    script = f'{line}; exit "${{PIPESTATUS[0]}}"'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(closed: str) -> None:
    done = shell(f"$PYCTL ps --help {closed}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_a_redirection_is_one(unbuffered: str) -> None:
    done = shell(f"PYTHONUNBUFFERED={unbuffered} $PYCTL ps --help > /dev/full")
    assert done.returncode in (1, 125)  # noticed while writing, or only when what was buffered leaves
    assert "no space left on device" in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_ends_the_command_as_a_signal_would() -> None:
    done = shell("$PYCTL run --help | true")
    assert (done.returncode, done.stderr) in ((141, ""), (0, ""))  # 0: everything was in the pipe before its reader left


def test_whatever_the_locale_text_leaves_as_it_came() -> None:
    done = shell("LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $PYCTL 'é' 2>&1")
    assert "'é' is not a pyctl command." in done.stdout
