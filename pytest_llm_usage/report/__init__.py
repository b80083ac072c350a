"""Reports of a run: `run` collects what the tests spent, `terminal` prints it, `write` writes it to files."""
