"""Every public name has a docstring of its own and a place in the reference: what can be imported, requested, typed and set.

The names are taken from where users meet them (the package, pytest's own listings, the command's help), not from the script that writes
the reference.
"""

import argparse
import ast
import dataclasses
import inspect
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import pytest_llm_usage
from pytest_llm_usage import cli

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def page(name):
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def sections(text):
    """The sections of a page, by the name in their heading."""
    return {
        found[1]: part
        for part in re.split(r"^(?=## `)", text, flags=re.MULTILINE)
        if (found := re.match(r"## `(.+?)`", part))
    }


NAMES = sections(page("api")) | sections(page("errors"))
CLASSES = {name: getattr(pytest_llm_usage, name) for name in pytest_llm_usage.__all__}


def own_members(owner):
    """The public members that a class of the package, or a base of it that is none of the API, brings."""
    for base in owner.__mro__:
        if base.__module__.startswith("pytest_llm_usage") and (base is owner or base.__name__ not in CLASSES):
            yield from ((name, value) for name, value in vars(base).items() if not name.startswith("_"))
            yield from ((name, None) for name in vars(base).get("__annotations__", ()) if not name.startswith("_"))


@pytest.mark.parametrize("name", CLASSES)
def test_a_name_of_the_package(name):
    owner = CLASSES[name]
    text = vars(owner).get("__doc__")
    assert text
    assert not text.startswith(f"{name}("), "what dataclasses write is no docstring"
    assert name in NAMES, "run `make reference`"


@pytest.mark.parametrize("name", CLASSES)
def test_its_members(name):
    for member, value in own_members(CLASSES[name]):
        assert re.search(rf"`{member}\b", NAMES[name]), f"{name}.{member} is not in the reference"
        function = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", value)
        if inspect.isfunction(function):
            assert function.__doc__, f"{name}.{member} has no docstring"


def names_of_our_classes():
    """The names of all classes that the package has, wherever they are."""
    sources = Path(pytest_llm_usage.__file__).parent.rglob("*.py")
    return {
        name for source in sources for name in re.findall(r"^class ([A-Z]\w+)", source.read_text("utf-8"), re.MULTILINE)
    }


def test_what_a_member_gives_can_be_imported():
    """Else nobody could annotate it, and it had no place in the reference."""
    unknown = names_of_our_classes() - CLASSES.keys()
    for owner in CLASSES.values():
        for member, value in own_members(owner):
            function = getattr(value, "fget", None) or getattr(value, "func", None) or value
            if inspect.isfunction(function):
                gives = set(re.findall(r"\b[A-Z]\w+", str(inspect.signature(function).return_annotation)))
                assert not gives & unknown, f"{owner.__name__}.{member}"


def test_the_fields_of_values_are_explained():
    for name, owner in CLASSES.items():
        if (
            dataclasses.is_dataclass(owner)
            and owner.__module__.startswith("pytest_llm_usage")
            and name != "UsageSnapshotAssertion"
        ):
            fields = [field.name for field in dataclasses.fields(owner) if not field.name.startswith("_")]
            assert [
                field for field in fields if not re.search(rf"^ +{field}: \S", owner.__doc__, re.MULTILINE)
            ] == [], name


@pytest.fixture(scope="module")
def listed():
    """What pytest lists on demand."""

    def run(*options):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, __file__]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env={**environment(), "COLUMNS": "200"}
        ).stdout

    return run


def environment():
    import os

    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def test_fixtures(listed):
    # In `--fixtures`, pytest puts a plugin's behind "fixtures defined from …".
    part = re.search(
        r"fixtures defined from pytest_llm_usage.*?\n(.*?)(?=^-+ fixtures defined|\Z)",
        listed("--fixtures"),
        re.MULTILINE | re.DOTALL,
    )[1]
    names = re.findall(r"^(\w+)(?: \[\w+ scope\])? -- ", part, re.MULTILINE)
    assert {"llm_usage", "usage_snapshot", "llm_cassette"} <= set(names)
    assert "no docstring available" not in part
    assert sorted(sections(page("fixtures"))) == sorted(names)


def test_markers(listed):
    names = set(re.findall(r"^@pytest\.mark\.(llm_\w+)\(.*\): \w", listed("--markers"), re.MULTILINE))
    assert sections(page("markers")).keys() == names == {"llm_budget", "llm_cassette"}


def test_options_and_ini_keys(listed):
    text = listed("--help")
    group = re.search(r"^token usage and cost of model calls:\n(.*?)(?=^\S)", text, re.MULTILINE | re.DOTALL)[1]
    options = set(re.findall(r"^  (--[\w-]+)", group, re.MULTILINE)) | set(
        re.findall(r"(--llm-usage-[\w-]+)[ =]", group)
    )
    keys = set(re.findall(r"^  (llm_usage_\w+) \(\w+\):\s+(?!renamed)\S", text, re.MULTILINE))
    assert len(options) > 20
    assert len(keys) > 30
    reference = page("options")
    assert [option for option in options if f"`{option}" not in reference] == []
    assert [key for key in keys if f"`{key}`" not in reference] == []
    rows = re.findall(r"^\|(.*?)\|(.*?)\|.*\|(.*?)\|$", reference.partition("## Other")[0], re.MULTILINE)
    assert [row for row in rows if not row[2].strip()] == []


def parsers(parser, name="pytest-llm-usage"):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, own in action.choices.items():
                yield f"{name} {word}", own
                yield from parsers(own, f"{name} {word}")


COMMANDS = dict(parsers(cli._parser()))


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name):
    section = sections(page("command"))[name]
    parser = COMMANDS[name]
    assert parser.description
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            assert action.help, action
            assert f"`{', '.join(action.option_strings) or action.metavar or action.dest}`" in section


PACKAGE = Path(pytest_llm_usage.__file__).parent


def imports_within():
    """What the modules of the package import of each other: (the module, its syntax tree, the names)."""
    trees = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in PACKAGE.rglob("*.py")
    }
    names = defaultdict(set)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in trees:
                names[node.module].update(
                    alias.name for alias in node.names if f"{node.module}.{alias.name}" not in trees
                )
    return [(module, trees[module], imported) for module, imported in names.items()]


def test_a_name_that_another_module_imports_is_among_those_that_its_module_lists():
    missing = {}
    for module, tree, imported in imports_within():
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                missing[module] = imported - set(ast.literal_eval(node.value))
    assert len(missing) > 100, "the modules were not found"
    assert {module: names for module, names in missing.items() if names} == {}
