"""The command `pytest-llm-usage`."""
