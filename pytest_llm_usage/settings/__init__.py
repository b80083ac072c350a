"""What can be configured: `options` declares the options, `config` reads them, `markers` reads the markers of a test.

No layer below this package imports pytest. A value that cannot be read is a message of one line: where it was set, and what
is allowed.
"""

from pytest_llm_usage.settings.config import Settings, is_asked_for_something
from pytest_llm_usage.settings.markers import MARKERS, CassetteMark, cassette_mark, limits_of
from pytest_llm_usage.settings.options import add_options, is_taken

__all__ = [
    "MARKERS",
    "CassetteMark",
    "Settings",
    "add_options",
    "cassette_mark",
    "is_asked_for_something",
    "is_taken",
    "limits_of",
]
