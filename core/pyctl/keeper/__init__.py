"""The one small process per data root that outlives commands."""
