"""What can be configured: `options` declares it, `config` reads it, `markers` has what a test says of itself.

Nothing below this package sees pytest. A value that cannot be read is one line that names where it was set and what is
taken.
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
