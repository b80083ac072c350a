# ruff: noqa: T201 -- a command prints
"""Builds the package as a release does, checks it, and tries it without this repository's package (`make wheel`).

* The wheel is built from the sdist, and holds every file of the package.
* Built again elsewhere, from copies with other dates, both files have the same bytes.
* Its description has no links to files beside it, because a package index shows only the description. If a workflow
  builds it, it has the addresses of that workflow's repository.
* In an environment of its own, what a newcomer types works with the wheel, line by line: README, the tutorial, the
  first page of the documentation, and the first day with a project of one's own. So do the type checks of users' code.

If folders are named, what passed is copied there: `make wheel DIST=dist SBOM=sbom`. The second one gets a bill of
materials (CycloneDX): what is in an environment in which only the wheel was installed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from email import message_from_string
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: What README, the tutorial, the first day and the type checks need beside the package; LangChain's vector store needs numpy.
BESIDE = [
    "--group",
    "types",
    "hypothesis",
    "langchain",
    "langchain-openai",
    "numpy",
    "pytest-asyncio",
    "pytest-recording",
]
#: 2020-01-01; a `SOURCE_DATE_EPOCH` from outside takes precedence.
EPOCH = "1577836800"


def run(*command: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, quiet: bool = False) -> None:
    """Runs a command, and shows which."""
    shown = ("…" if " " in str(word) else Path(word).name if os.sep in str(word) else word for word in command)
    print("+", *shown, flush=True)
    output = subprocess.DEVNULL if quiet else None
    subprocess.run(list(map(str, command)), check=True, cwd=cwd, env=env, stdout=output)  # noqa: S603


def tracked_files() -> list[str]:
    """The files that git tracks and that exist."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)  # noqa: S607
    return [name for name in names.split("\0") if name and (ROOT / name).is_file()]


def copy_of_the_tree(folder: Path) -> Path:
    """Copies what git tracks into `folder`, with today's dates."""
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def built(folder: Path, into: Path) -> list[Path]:
    """The wheel and the sdist, built from `folder`."""
    environment = {"SOURCE_DATE_EPOCH": EPOCH} | os.environ
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", into, folder, env=environment, quiet=True)
    return sorted(into.iterdir())


def check_contents(wheel: Path) -> None:
    """Ends the script if the wheel does not hold the package."""
    package = {name for name in tracked_files() if name.startswith("pytest_llm_usage/")}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    if held != package:
        sys.exit(f"{wheel.name}: differs from the package in the repository: {sorted(held ^ package)}")
    if "pytest_llm_usage/py.typed" not in held:
        sys.exit(f"{wheel.name}: has no py.typed")


def metadata_of(wheel: Path) -> Message:
    """A wheel's metadata."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(file.read(name).decode())


def check_urls(wheel: Path) -> None:
    """Ends the script if the wheel does not link to the repository of the workflow that builds it."""
    urls = metadata_of(wheel).get_all("Project-URL", [])
    if bool(urls) != bool(os.environ.get("GITHUB_REPOSITORY")):
        sys.exit(f"{wheel.name}: its project's URLs are {urls}, built for {os.environ.get('GITHUB_REPOSITORY')}")


def check_description(wheel: Path) -> None:
    """Ends the script if the description has a link that a package index cannot follow, or lacks README's text."""
    description = metadata_of(wheel).get_payload()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    if not isinstance(description, str) or re.findall("^#.*$", description, re.MULTILINE) != re.findall(
        "^#.*$", readme, re.MULTILINE
    ):
        sys.exit(f"{wheel.name}: its description is not README.md")
    if dead := re.findall(r"\]\((?!https://)[^)\s]*\)", description):
        sys.exit(f"{wheel.name}: its description links to files beside it: {dead}")


def try_out(wheel: Path, folder: Path) -> None:
    """Runs what a newcomer types, and the type checks, with the installed wheel."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--system-certs", "--python", python)
    run(*install, f"{wheel}[estimate]", *BESIDE, cwd=ROOT)
    run(
        python,
        "-P",
        "-c",
        f"import pytest_llm_usage as p; assert p.__file__.startswith({str(folder)!r}), p.__file__",
        env=environment,
    )
    # The tests' own files are read from the repository; the processes that they start do not see it.
    tests = ("tests/test_readme.py", "tests/test_types.py", "tests/test_docs.py")
    options = ("-q", "-p", "no:cacheprovider", "-k", "section_does or right or tutorial.md or index.md or first-day.md")
    run(python, "-P", "-m", "pytest", *options, *tests, cwd=ROOT, env=environment)


def bill_of_materials(wheel: Path, folder: Path) -> Path:
    """The wheel's bill of materials, in CycloneDX's format; `folder` is for an environment with only the wheel."""
    run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--system-certs", "--python", python, wheel)
    file = folder / "pytest-llm-usage.cdx.json"
    options = (
        "--pyproject",
        ROOT / "pyproject.toml",
        "--mc-type",
        "library",
        "--output-reproducible",
        "--validate",
        "-o",
        file,
    )
    environment = {"SOURCE_DATE_EPOCH": EPOCH} | os.environ
    run(sys.executable, "-m", "cyclonedx_py", "environment", python, *options, env=environment)
    held = {component["name"].lower() for component in json.loads(file.read_text(encoding="utf-8"))["components"]}
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    if missing := {re.match(r"[\w-]+", name)[0] for name in needed} - held:  # type: ignore[index]
        sys.exit(f"{file.name}: lacks {sorted(missing)}")
    return file


def main() -> None:
    """Builds the package, checks it and tries it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--dist", type=Path, help="a new folder for the wheel and the sdist")
    parser.add_argument("--sbom", type=Path, help="a new folder for the bill of materials")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for part in ("one", "two", "dist", "again"):
            (folder / part).mkdir()
        first = built(copy_of_the_tree(folder / "one"), folder / "dist")
        second = built(copy_of_the_tree(folder / "two"), folder / "again")
        for one, two in zip(first, second, strict=True):
            if (one.name, one.read_bytes()) != (two.name, two.read_bytes()):
                sys.exit(f"{one.name}: two builds of the same files differ")
        sdist, wheel = sorted(first, key=lambda path: path.suffix == ".whl")
        run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
        run(sys.executable, "-m", "check_wheel_contents", wheel)
        check_contents(wheel)
        check_description(wheel)
        check_urls(wheel)
        try_out(wheel, folder / "environment")
        bill = bill_of_materials(wheel, folder / "wheel-alone")
        for target, files in ((wanted.dist, first), (wanted.sbom, [bill])):
            if target is not None:
                target.mkdir()
                for file in files:
                    shutil.copy(file, target)
    print(f"{wheel.name} and {sdist.name}: checked, the same bytes twice, tried in an environment of its own")


if __name__ == "__main__":
    main()
