"""A place in a JSON value, as people write it in `ignore_body`."""

from __future__ import annotations

import re
from typing import Any

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.text import quoted

__all__ = ["JsonPath"]


class JsonPath:
    """A place in a JSON value: `metadata.session_id`, `messages[*].id`, `tools[0]["odd.name"]`, `*.id`.

    Raises:
        ConfigurationError: The text is not such a path.
    """

    _STEP = re.compile(
        r"""\.?(?:(?P<name>[^.\[\]"'*\s]+)|(?P<any>\*)|\[(?P<index>[0-9]{1,9}|\*)\]|\[(?P<quote>["'])(?P<quoted>.*?)(?P=quote)\])"""
    )

    def __init__(self, text: str) -> None:
        self.text = text
        steps: list[str | int | None] = []
        rest = text.strip().removeprefix("$")
        position = 0
        while step := self._STEP.match(rest, position):
            position = step.end()
            if step["index"] is not None:
                steps.append(None if step["index"] == "*" else int(step["index"]))
            else:
                steps.append(None if step["any"] else step["name"] or step["quoted"])
        if position < len(rest) or not steps:
            raise ConfigurationError(
                f"{quoted(text)} is not a path in a JSON body (examples: metadata.session_id, messages[*].id)"
            )
        self._steps: tuple[str | int | None, ...] = tuple(steps)

    def without(self, value: Any) -> Any:
        """A copy of the value without what is at this path; the value itself is not changed."""
        return _without(value, self._steps)


def _without(value: Any, steps: tuple[str | int | None, ...]) -> Any:
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict) and (step is None or isinstance(step, str)):
        chosen = value.keys() if step is None else ({step} & value.keys())
        if not chosen:
            return value
        if not rest:
            return {key: part for key, part in value.items() if key not in chosen}
        return {key: _without(part, rest) if key in chosen else part for key, part in value.items()}
    if isinstance(value, list) and (step is None or isinstance(step, int)):
        if not rest:
            return [] if step is None else [part for index, part in enumerate(value) if index != step]
        return [_without(part, rest) if step in (None, index) else part for index, part in enumerate(value)]
    return value
