"""Built-in plug-ins of kind ``image``."""
