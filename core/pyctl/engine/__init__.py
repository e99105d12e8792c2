"""Our own containerd, for when the machine runs none."""
