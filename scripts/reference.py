"""Writes the reference in `docs/reference` from the code: python scripts/reference.py

Nothing in it is written by hand, so that it cannot differ from what is installed; `tests/test_docs.py` checks that a fresh
run changes nothing.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest_llm_usage
from pytest_llm_usage import cli, errors
from pytest_llm_usage.budget.limits import BUDGET_KINDS, GROWTH_LIMITS
from pytest_llm_usage.cassettes.not_recorded import NOT_RECORDED
from pytest_llm_usage.cassettes.provider_keys import PROVIDER_KEYS
from pytest_llm_usage.plugin import fixtures
from pytest_llm_usage.pricing.price import KINDS, PER_ITEM
from pytest_llm_usage.pricing.pricefile import ENTRY_KEYS
from pytest_llm_usage.settings import markers
from pytest_llm_usage.settings.options import SETTINGS, Setting

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pytest_llm_usage"
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by scripts/reference.py; edit the code instead, and run `make reference`. -->\n"

#: Environment variables that are not settings: what each does. One that the code reads and that is missing here is an error.
VARIABLES = {
    "PYTEST_LLM_USAGE_SHORT_OPTIONS": "`0` leaves out the short spellings (`--max-tokens`), for suites that have their own",
    "GITHUB_STEP_SUMMARY": "the file to which GitHub Actions lets a step add a summary; the run is added as Markdown",
    "GITHUB_ACTIONS": "`true` on GitHub Actions; failed budgets are then annotated at their lines",
    "GITHUB_WORKSPACE": "the checkout, to which paths in annotations are relative",
    "TIKTOKEN_CACHE_DIR": "where tiktoken keeps its vocabularies; read, never downloaded to",
    "DATA_GYM_CACHE_DIR": "the older name of `TIKTOKEN_CACHE_DIR`",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "pytest's own: no plugin is loaded but those that `-p` names",
    "HOSTNAME": "the machine's own name, which may be looked up while a cassette replays",
}

#: The keys of a line of a price file that are not prices: what each does. One that the code reads and that is missing here is an error.
PRICE_KEYS = {
    "provider": "who sells the model; without it the line applies to every seller",
    "tier": "the service tier (`flex`, `priority`, `batch` …); without it the line prices the standard tier, or every tier "
    "with `same_as` or `free`",
    "region": "the region, or a pattern of regions (`europe-*`); without it the line applies to all",
    "latency": "Bedrock's `optimized`",
    "speed": "Anthropic's `fast`; a line without it prices a fast call only with `same_as` or `free`",
    "from": "the first day of the price, as a date without quotes",
    "until": "the first day on which it no longer applies",
    "same_as": "the model whose price applies; prices beside it replace single kinds",
    "free": "`true` for a model that costs nothing",
    "above": "prices for long input: `above = { input_tokens = 200_000, input = 5 }`, or a list of such tables",
}

#: How the failures of a test begin: what to do. A beginning that the code has and that is missing here is an error.
FAILURES = {
    "LLM budget cannot be verified": "the usage or the price of a call is unknown: [why](../questions.md#why-is-a-number-unknown)",
    "LLM budget exceeded": "[spend less, or raise the limit](../questions.md#a-test-is-over-its-budget)",
    "LLM budget missed": "less was read from the [prompt cache](../how-to/prompt-cache.md) than `min_cache_read` wants",
    "No recording": "[record the test](../how-to/record.md), or commit its cassette",
    "Not replayed": "the library [bypasses the cassette](../explanation/network.md)",
    "Recording does not match": "the request changed: [record again](../questions.md#how-do-i-record-again), or "
    "[leave out](../how-to/existing-cassettes.md) what differs in each run",
    "Recording ends in a redirect": "record again",
    "Recording not played": "the test no longer makes a request (`llm_usage_unplayed`): record again",
    "Recording too old": "record again, or raise `llm_usage_max_age`",
    "Recording used up": "the test makes a request more often than when it was recorded: record again",
    "live model call stopped": "record the test, or allow live calls (`llm_usage_live`)",
}
_BEGINNING = re.compile(
    r"(?:No recording|Not replayed|Recording [a-z ]+|live model call stopped)(?=: )|LLM budget (?:exceeded|missed|cannot be verified)"
)


def cell(text: str) -> str:
    """Text for one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines) + "\n"


def described(text: str | None) -> str:
    """A docstring as Markdown: its sections as lists."""
    lines: list[str] = []
    section = False
    for line in inspect.cleandoc(text or "").splitlines():
        if found := re.fullmatch(r"(Args|Attributes|Raises|Returns):", line):
            lines += [f"**{found[1]}**", ""]
            section = True
        elif section and (entry := re.fullmatch(r"    (\S+): (.*)", line)):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif section and line.startswith("        "):
            lines[-1] += f" {line.strip()}"
        else:
            section = section and not line.strip()
            lines.append(line)
    return "\n".join(lines).strip() + "\n"


def code(text: str) -> str:
    return f"`{text}`" if text else ""


# -- options -------------------------------------------------------------------------------------------------------------


def default_of(setting: Setting) -> str:
    """The default as one types it."""
    if setting.is_switch or isinstance(setting.default, bool):
        return code("on" if setting.default else "off")
    return code("" if setting.default in (None, ()) or setting.default == {} else str(setting.default))


def options() -> str:
    rows = [
        (
            "<br>".join(
                code(f"{spelling}={setting.metavar}" if setting.metavar else spelling)
                for spelling in (setting.spellings if setting.flag is not None else ())
            ),
            code(setting.key),
            default_of(setting),
            setting.help,
        )
        for setting in SETTINGS
    ]
    variables = sorted(read_variables() - {setting.variable for setting in SETTINGS})
    return (
        f"# Options\n\n{NOTE}\n"
        "The command line takes precedence over the environment, and the environment over pytest's configuration. In the "
        "environment, `llm_usage_x` is `PYTEST_LLM_USAGE_X`. An empty variable counts as not set.\n\n"
        "In `pyproject.toml`, "
        + " and ".join(code(setting.key) for setting in SETTINGS if setting.ini_type == "linelist")
        + " are lists of strings. All others are strings, also numbers and switches, as pytest 9's table `[tool.pytest]` "
        'takes nothing else: `llm_usage_max_tokens = "5k"`.\n\n'
        + table(("option", "ini key", "default", "what it does"), rows)
        + "\n## Other environment variables\n\n"
        + table(("variable", "what it does"), [(code(name), VARIABLES[name]) for name in variables])
        + "\n## Keys\n\nWhile a test replays, these variables get a placeholder where they are not set "
        "(`llm_usage_placeholder_keys`):\n\n" + ", ".join(code(name) for name in PROVIDER_KEYS) + ".\n"
        "\n## Hosts that no test is about\n\nWhat libraries fetch or tell on their own is neither recorded nor a failure while a "
        "test replays. `llm_usage_ignore_hosts` adds hosts; what a cassette holds of them already is replayed.\n\n"
        + table(
            ("host", "path", "what it is"),
            [(code(host), code(path) if path != "/" else "", what) for host, path, what in NOT_RECORDED],
        )
    )


def read_variables() -> set[str]:
    """The environment variables that the package reads by name."""
    names = set()
    for file in PACKAGE.rglob("*.py"):
        names |= set(re.findall(r"os\.environ(?:\.get\(|\[)\"([A-Z_]+)\"", file.read_text(encoding="utf-8")))
    return names


# -- markers and fixtures ------------------------------------------------------------------------------------------------


def marker_page() -> str:
    kinds = [
        (
            code(name),
            "share of the input" if kind.whole else "USD" if kind.noun == "USD" else f"{kind.noun}s",
            code(f"--{kind.option}") if kind.option else "",
            "an estimate" if kind.is_estimate else "",
        )
        for name, kind in BUDGET_KINDS.items()
    ]
    kinds += [
        (
            code("max_growth"),
            "how the input of a conversation grows",
            "",
            f"{' or '.join(code(repr(x)) for x in GROWTH_LIMITS)}",
        ),
        (code("model"), "nothing: the limits hold for models of that name", "", "a pattern"),
    ]
    parts = [f"# Markers\n\n{NOTE}"]
    for text in markers.MARKERS:
        call, _, what = text.partition("): ")
        parts.append(
            f"## `{call.partition('(')[0]}`\n\n```text\n@pytest.mark.{call})\n```\n\n{what[0].upper()}{what[1:]}.\n"
        )
        if call.startswith("llm_budget"):
            parts.append(table(("keyword", "counts", "option for every test", "remark"), kinds))
        else:
            parts.append(described(markers.CassetteMark.__doc__).partition("**Attributes**\n\n")[2])
    return "\n".join(parts)


def fixture_page() -> str:
    parts = [f"# Fixtures\n\n{NOTE}"]
    for name in fixtures.__all__:
        fixture = getattr(fixtures, name)
        function = getattr(fixture, "__wrapped__", None) or getattr(fixture, "_get_wrapped_function", lambda: None)()
        if name.startswith("_") or function is None:
            continue
        marker = getattr(fixture, "_fixture_function_marker", None) or fixture._pytestfixturefunction  # noqa: SLF001
        gives = re.sub(r"^Iterator\[(.*)\]$", r"\1", str(inspect.signature(function).return_annotation))
        parts.append(f"## `{name}`\n\nScope: {marker.scope}. Gives: `{gives}`.\n\n{described(function.__doc__)}")
    return "\n".join(parts)


# -- the price file ------------------------------------------------------------------------------------------------------


def price_file_page() -> str:
    by_token = [kind for kind in KINDS if kind not in PER_ITEM]
    by_item = [kind for kind in KINDS if kind in PER_ITEM]
    return (
        f"# The price file\n\n{NOTE}\n"
        "The TOML file that `llm_usage_prices` names, or a mapping of the same form that the fixture returns. "
        "[Your own prices](../how-to/own-prices.md) has an example. A key that is not on this page is an error.\n\n"
        "## `[models]`\n\nEach key is a model's name or a pattern (`gpt-4o*`). Of several lines that apply, a name comes before a pattern, "
        "a line with a region before one without, one with `latency` or `speed` before one without, then the first in the file. The value is a table, or a list of tables, with these keys:\n\n"
        + table(("key", "meaning"), [(code(key), PRICE_KEYS[key]) for key in ENTRY_KEYS])
        + f"\nPrices in USD per million tokens: {', '.join(map(code, by_token))}.\n"
        f"\nPrices in USD each: {', '.join(map(code, by_item))}.\n"
        "\n## `[price_map]`\n\nThe form of LangChain's NVIDIA integration: USD per thousand tokens by model. "
        "`NAME-completion` is the price of the output of `NAME`; without it, output costs as much as input. A mapping of "
        "numbers that the fixture returns is read in this form.\n"
        '\n## `currency`\n\n`"USD"`, or left out. Other currencies are an error.\n'
    )


# -- the API -------------------------------------------------------------------------------------------------------------


def members(owner: type) -> Iterator[tuple[str, str, str]]:
    """The public members that a class itself has: name, heading, docstring."""
    for name, value in vars(owner).items():
        if name.startswith("_") and name not in ("__getitem__", "__call__"):
            continue
        if isinstance(value, property) or type(value).__name__ == "cached_property":
            function = value.fget if isinstance(value, property) else getattr(value, "func")  # noqa: B009
            gives = inspect.signature(function).return_annotation
            yield name, f"{name}: {gives}", function.__doc__ or ""
        elif inspect.isfunction(value) or isinstance(value, classmethod | staticmethod):
            function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            yield name, f"{name}{signature(function)}", function.__doc__ or ""


def signature(function: Callable[..., Any]) -> str:
    found = inspect.signature(function)
    own = [value for name, value in found.parameters.items() if name not in ("self", "cls")]
    text = str(found.replace(parameters=own))
    return re.sub(r"'([^']*)'", r"\1", text) if "'" in text else text


def api_page() -> str:
    parts = [
        (
            f"# Python API\n\n{NOTE}\n"
            "`from pytest_llm_usage import …` gives these names, for annotations and for `pytest.raises`. Errors have "
            "[a page of their own](errors.md).\n"
        )
    ]
    for name in pytest_llm_usage.__all__:
        owner = getattr(pytest_llm_usage, name)
        if issubclass(owner, errors.LLMUsageError):
            continue
        parts.append(f"## `{name}`\n\n{described(owner.__doc__)}")
        for _, heading, text in members(owner):
            parts.append(f"### `{heading}`\n\n{described(text)}")
    return "\n".join(parts)


def undocumented() -> list[str]:
    """Public names of the API without a docstring of their own."""
    found = []
    for name in pytest_llm_usage.__all__:
        owner = getattr(pytest_llm_usage, name)
        if not owner.__doc__ or (dataclasses.is_dataclass(owner) and owner.__doc__.startswith(f"{name}(")):
            found.append(name)
        found += [f"{name}.{member}" for member, _, text in members(owner) if not text]
    return found


# -- errors --------------------------------------------------------------------------------------------------------------


def error_page() -> str:
    said = messages()
    parts = [
        (
            f"# Errors\n\n{NOTE}\n"
            "A failure over a budget or a recording begins with one of these:\n\n"
            + table(("the failure begins with", "what to do"), [(code(text), FAILURES[text]) for text in beginnings()])
            + "\n"
            "Every error that a user can cause is one message. In the messages below, `…` stands for what differs.\n"
        )
    ]
    for name in errors.__all__:
        error = getattr(errors, name)
        if not isinstance(error, type):
            continue
        text = described(error.__doc__).replace("To fix it: ", "**To fix it:** ")
        bases = " and ".join(code(base.__name__) for base in error.__bases__)
        parts.append(f"## `{name}`\n\nA subclass of {bases}.\n\n{text}")
        if said.get(name):
            parts.append("Messages:\n\n```text\n" + "\n".join(sorted(said[name])) + "\n```\n")
    return "\n".join(parts)


def beginnings() -> list[str]:
    """How the failures of a test begin, as far as texts in the code begin so."""
    nodes = [node for file in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = (
        template(node)
        for node in nodes
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in docstrings
    )
    return sorted({found[0] for text in texts if (found := _BEGINNING.match(text))})


def messages() -> dict[str, set[str]]:
    """The messages of each error by its name, as far as they are written where the error is raised."""
    found: dict[str, set[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args:
                text = re.sub("…+", "…", template(call.args[0]))
                if re.search(r"\w{3}", text):
                    found.setdefault(call.func.id, set()).add(text.partition("\n")[0])
    return found


def template(node: ast.expr) -> str:
    """A text with `…` in place of what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return template(node.left) + template(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        lines = node.args[0]
        return template(lines.elts[0]) if isinstance(lines, ast.List | ast.Tuple) else "…"
    return "…"


# -- the run's data, and the command -------------------------------------------------------------------------------------


def schema_page() -> str:
    schema = json.loads((PACKAGE / "report" / "run.schema.json").read_text(encoding="utf-8"))
    parts = [
        (
            f"# The run as data\n\n{NOTE}\n{schema['description']}\n\n"
            "The JSON Schema is in the package: `pytest_llm_usage/report/run.schema.json`.\n"
        ),
        "## The run\n\n" + properties(schema),
    ]
    for name, definition in schema["$defs"].items():
        text = definition.get("description", "")
        parts.append(f"## {name}\n\n" + (f"{text}\n\n" if text else "") + properties(definition))
    return "\n".join(parts)


def properties(definition: Mapping[str, Any]) -> str:
    required = set(definition.get("required", ()))
    rows = [
        (code(name), type_of(value), "always" if name in required else "", value.get("description", ""))
        for name, value in definition.get("properties", {}).items()
    ]
    if not rows:
        return f"{type_of(definition)}\n"
    return table(("property", "type", "there", "meaning"), rows)


def type_of(value: Mapping[str, Any]) -> str:
    """The type in words, with a link where it is defined on this page."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for combined in ("anyOf", "oneOf", "allOf"):
        if combined in value:
            return " or ".join(map(type_of, value[combined]))
    if "enum" in value:
        return ", ".join(code(json.dumps(item)) for item in value["enum"])
    if "const" in value:
        return code(json.dumps(value["const"]))
    kind = value.get("type", "any")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if text == "array" and isinstance(value.get("items"), Mapping):
        return f"array of {type_of(value['items'])}"
    if text == "object" and isinstance(value.get("additionalProperties"), Mapping):
        return f"object of {type_of(value['additionalProperties'])}"
    return text


def command_page() -> str:
    parts = [f"# The command\n\n{NOTE}\n{inspect.cleandoc(cli.__doc__ or '')}\n"]
    parts += commands_of(cli._parser(), "pytest-llm-usage")  # noqa: SLF001
    return "\n".join(parts)


def commands_of(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        for word, command in action.choices.items():
            full = f"{name} {word}"
            rows = [
                (
                    code(", ".join(own.option_strings) or str(own.metavar or own.dest)),
                    (own.help or "").replace("%%", "%"),
                )
                for own in command._actions  # noqa: SLF001
                if not isinstance(own, argparse._HelpAction | argparse._SubParsersAction)  # noqa: SLF001
            ]
            text = " ".join(filter(None, (command.description, command.epilog)))
            yield f"## `{full}`\n\n{text}\n\n" + (table(("argument", "meaning"), rows) if rows else "")
            yield from commands_of(command, full)


PAGES = {
    "options.md": options,
    "markers.md": marker_page,
    "fixtures.md": fixture_page,
    "price-file.md": price_file_page,
    "api.md": api_page,
    "errors.md": error_page,
    "run-data.md": schema_page,
    "command.md": command_page,
}


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    return {name: f"{write().rstrip()}\n" for name, write in PAGES.items()}


if __name__ == "__main__":
    for file_name, content in pages().items():
        (FOLDER / file_name).write_text(content, encoding="utf-8")
