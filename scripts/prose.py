# ruff: noqa: T201 -- a command prints
"""Checks the pages for clichés, hedges and words that mislead, with proselint (`make text`): python scripts/prose.py

tests/test_prose.py checks the project's own words. Ends with 1 if there is a remark.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from links import ROOT, pages

#: The checks of proselint that are switched off, and why.
SWITCHED_OFF = {
    "typography": "pages are plain text, with straight quotes",
    "lexical_illusions": "a heading and its first word, `as false as False`, an array of arrays",
}


def prose(page: Path) -> str:
    """A page without its code; every line keeps its number."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^ *```.*?^ *```$", lambda code: "\n" * code[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "code", text)


def main() -> int:
    """Checks all pages, and prints the remarks."""
    with tempfile.TemporaryDirectory() as directory:
        copies = Path(directory)
        for page in pages():
            copy = copies / page.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(prose(page), encoding="utf-8")
        config = copies / "proselint.json"
        config.write_text(json.dumps({"checks": dict.fromkeys(SWITCHED_OFF, False)}))
        files = sorted(str(copy) for copy in copies.rglob("*.md"))
        command = [str(Path(sys.executable).with_name("proselint")), "check", "--config", str(config), *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- ours
    remarks = (done.stdout + done.stderr).replace(f"{directory}/", "").strip()
    print(remarks or f"{len(files)} pages, no remark")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
