"""The run as people and programs read it: `run` gathers what the tests spent, `terminal` prints it, `write` writes it."""
