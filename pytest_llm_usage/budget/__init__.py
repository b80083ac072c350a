"""Limits on what a test (or the run) may spend, and what it says when more was spent.

`amounts` reads numbers as people write them (`5k`, `$0.02`); `limits` has everything that can be limited, each with the
place it was set; `breaches` compares limits with calls; `failure` is the verdict with the table of calls. Pure values: who
fails, and when, is decided above.

Names are imported from these modules: the settings need `limits` at every start of pytest, and nothing else.
"""
