"""pyctl: a Docker-compatible command line for containerd; the engine and the command line."""
