"""Reads what pytest printed in a throw-away project."""

import re


def section(result):
    """The lines of the section `LLM usage`, without its title; None if it was not printed."""
    lines = result.stdout.lines
    titles = [number for number, line in enumerate(lines) if re.fullmatch(r"=+ LLM usage =+", line)]
    if not titles:
        return None
    assert len(titles) == 1, "the section is printed once"
    start = titles[0] + 1
    end = next((number for number in range(start, len(lines)) if re.match(r"==+", lines[number])), len(lines))
    return lines[start:end]


def totals(result):
    """The table of models: name → calls, input, cached, output, reasoning, USD."""
    head, *lines = section(result)
    assert re.split(r"\s{2,}", head.strip()) == ["model", "calls", "input", "cached", "output", "reason.", "USD"]
    table = {}
    for line in lines:
        name, *cells = re.split(r"\s{2,}", line.strip())
        table[name] = tuple(cells)
        if name == "total":
            break
    return table
