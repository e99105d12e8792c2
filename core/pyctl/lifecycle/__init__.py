"""Plan, apply, undo and the journal: how containers come and go without leaving anything behind."""
