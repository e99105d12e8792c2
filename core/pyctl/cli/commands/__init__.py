"""One module per command: read arguments, call one function in ``pyctl.ops``, print."""
