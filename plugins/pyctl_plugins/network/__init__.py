"""Built-in plug-ins of kind ``network``."""
