"""The OCI runtime specification, from image configuration and request."""
