"""The second book: what the provider's HTTP response says, read without any client library.

`Exchange` (one request with its response) → `framing` (body → JSON events) → `providers` (events → usage) → `WireCall`.
"""
