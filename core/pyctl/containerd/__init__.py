"""How we ask containerd: client, transport and error translation."""
