"""Built-in plug-ins of kind ``task``."""
