"""What a command does: records in, records out, nothing printed."""
