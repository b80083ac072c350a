"""What a call's input is made of, read from its request on demand.

`request` (body → `Prompt`, one module for each family of APIs) → `tokenizer` (texts → tokens) → `split` (the provider's
count over the parts). `prefix` compares an input with earlier ones, by the providers' `cache_rules`; `delta` compares
it with that of a recording. `growth` says how a loop's input grows, and `growth_limit` whether a budget allows that.
Nothing here is imported, parsed or counted before one of its answers is read.
"""
