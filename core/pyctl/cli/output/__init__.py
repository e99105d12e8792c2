"""How results look: tables, templates, units, progress."""
