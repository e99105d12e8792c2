"""Built-in plug-ins of kind ``privilege``."""
