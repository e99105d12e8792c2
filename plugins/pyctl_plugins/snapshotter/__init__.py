"""Built-in plug-ins of kind ``snapshotter``."""
