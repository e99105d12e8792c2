"""Our own containerd, for when the machine runs none.

``find`` decides which daemon a command talks to; ``managed`` starts, stops and describes ours; ``places`` says
where it keeps its things and ``config`` what it is told. A system daemon that answers always wins.
"""
