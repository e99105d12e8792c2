"""Which plug-in answers to a kind and a name, and the typed fronts of every hook."""
