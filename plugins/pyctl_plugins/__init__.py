"""The plug-ins in the box; each is chosen by name and can be replaced by anybody's."""
