"""Built-in plug-ins of kind ``logging``."""
