"""What a credential is: by the name of the place that holds it, by its shape, by its value. And how texts hide it.

Nothing here knows cassettes, HTTP or reports; all of them use it. Importing it is cheap: the shapes are compiled when the
first text is masked.
"""

from __future__ import annotations

__all__: list[str] = []
