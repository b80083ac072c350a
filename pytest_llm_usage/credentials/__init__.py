"""Credentials: how they are recognised (by the name of their place, by shape, by value), and how texts hide them.

Nothing here knows cassettes, HTTP or reports; all of them use it. Importing it is cheap: the shapes are compiled when
the first text is masked.
"""

from __future__ import annotations

__all__: list[str] = []
