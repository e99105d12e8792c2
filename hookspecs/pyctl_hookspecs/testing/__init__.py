"""Conformance suites, one per kind: a plug-in author subclasses one and gets the whole examination."""
