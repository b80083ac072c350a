"""`python -m pytest_llm_usage.cli`."""

import sys

from pytest_llm_usage.cli import main

if __name__ == "__main__":
    sys.exit(main())
