"""Schemas of tools and answers as the text that a model reads.

OpenAI documents how its models are shown functions: a TypeScript-like declaration each, in a namespace.
https://developers.openai.com/cookbook/articles/openai-harmony#function-calling
No other provider does; their schemas are counted as the JSON that was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llm_usage.anatomy.prompt import as_json, listed

__all__ = ["NAMESPACE", "declaration", "response_format"]

#: What stands around all declarations.
NAMESPACE = ("# Tools\n\n## functions\n\nnamespace functions {\n\n", "} // namespace functions")


def declaration(name: str, description: Any, parameters: Any) -> str:
    """A function as OpenAI's models are shown it."""
    lines = [f"// {line}" for line in _lines(description)]
    members = list(_members(parameters if isinstance(parameters, Mapping) else {}))
    if members:
        lines += [f"type {name} = (_: {{", *members, "}) => any;", "", ""]
    else:
        lines += [f"type {name} = () => any;", "", ""]
    return "\n".join(lines)


def response_format(name: Any, description: Any, schema: Any) -> str:
    """The schema of a structured answer as OpenAI's models are shown it."""
    about = [f"// {line}" for line in _lines(description)]
    return "\n".join(["# Response Formats", "", f"## {name or 'response'}", "", *about, as_json(schema)])


def _lines(text: Any) -> list[str]:
    return text.splitlines() if isinstance(text, str) else []


def _members(schema: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    properties = schema.get("properties")
    required = listed(schema.get("required"))
    for name, member in (properties if isinstance(properties, Mapping) else {}).items():
        details = member if isinstance(member, Mapping) else {}
        yield from (f"// {line}" for line in _lines(details.get("description")))
        mark = "" if name in required else "?"
        default = f" // default: {as_json(details['default'])}" if "default" in details else ""
        yield f"{name}{mark}: {_type(details, depth)},{default}"


#: The depth at which schemas that contain themselves are cut.
_DEEPEST = 12


def _type(schema: Mapping[str, Any], depth: int) -> str:
    if depth > _DEEPEST:
        return "any"
    if enum := listed(schema.get("enum")):
        return " | ".join(as_json(value) for value in enum)
    if "const" in schema:
        return as_json(schema["const"])
    for key in ("anyOf", "oneOf", "allOf"):
        if options := [option for option in listed(schema.get(key)) if isinstance(option, Mapping)]:
            return " | ".join(_type(option, depth + 1) for option in options)
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": each}, depth + 1) for each in kind)
    if kind == "object" or (kind is None and "properties" in schema):
        members = list(_members(schema, depth + 1))
        return "\n".join(["{", *members, "}"]) if members else "object"
    if kind == "array":
        items = schema.get("items")
        return f"{_type(items, depth + 1)}[]" if isinstance(items, Mapping) else "any[]"
    if isinstance(schema.get("$ref"), str):
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    return {"integer": "number"}.get(str(kind), str(kind)) if kind else "any"
