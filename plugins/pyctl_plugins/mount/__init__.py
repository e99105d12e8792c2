"""Built-in plug-ins of kind ``mount``."""
