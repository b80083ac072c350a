"""Hooks and fixtures of the pytest plugin, each handing over in a few lines."""
