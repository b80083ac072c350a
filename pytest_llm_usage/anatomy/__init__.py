"""What a call's input is made of, read from its request when somebody asks.

`request` (body → `Prompt`, one module for each family of APIs) → `tokenizer` (texts → tokens) → `split` (the provider's
count over the parts). `prefix` holds an input against the earlier ones, with the providers' `cache_rules`; `delta` against that
of a recording; `growth` says how a loop's input grows, `growth_limit` whether a budget allows that. Nothing here is imported, parsed or counted before one of its answers is read.
"""
