"""The command line: signatures, flags and output; what a command does lives in ``pyctl.ops``."""
