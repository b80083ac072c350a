"""Limits on what a test (or the run) may spend, and the message when more was spent.

`amounts` reads numbers as people write them (`5k`, `$0.02`); `limits` has everything that can be limited, and where
each limit was set; `breaches` compares limits with calls; `failure` writes the verdict and the table of calls. Pure
values: the layers above decide what fails, and when.

Import names from these modules, not from here: every start of pytest needs `limits` for the settings, and nothing else.
"""
