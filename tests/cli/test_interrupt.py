"""Ctrl-C wherever Python happens to be."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The attribute that the import system asks every finder for sends SIGINT; in C, so that nobody else's frame is interrupted.
_PROGRAM = """
import operator, signal, sys, time

class Finder(int):
    sent = property(signal.raise_signal)
    find_spec = property(operator.attrgetter("sent.nothing"))

    def find_module(self, name, path):  # asked next, before Python 3.12
        return None

if sys.argv[1] == "ours":
    from pyctl.__main__ import interrupt
    signal.signal(signal.SIGINT, interrupt)
sys.meta_path.insert(0, Finder(signal.SIGINT))
try:
    import colorsys
except KeyboardInterrupt:
    print("in the middle")
else:
    try:
        time.sleep(20)
    except KeyboardInterrupt:
        print("afterwards")
"""


@pytest.mark.parametrize(("handler", "when"), [("Python's", "in the middle"), ("ours", "afterwards")])
def test_the_import_system_is_interrupted_when_it_is_through(handler: str, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, handler], capture_output=True, text=True, check=True, timeout=15)
    assert (done.stdout, done.stderr) == (f"{when}\n", "")
