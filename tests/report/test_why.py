"""Why a run costs what it costs: the section, the command, and the data between them."""

import json
import re
from decimal import Decimal

import pytest

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.cli import main
from pytest_llm_usage.input_by_part import PARTS, InputByPart
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.report.why import ExplainedTest, causes, why_lines
from pytest_llm_usage.usage import TokenUsage


def call(index=0, *, parts=None, tools=None, output=0, reasoning=0, input_usd="0.01", output_usd="0.01", **values):
    sent = InputByPart(parts or {}, tools or {}, "o200k_base", input_usd and Decimal(input_usd))
    return Call(
        index=index,
        model="gpt-4o",
        usage=TokenUsage.from_counts(sent.total, output, output_token_details={"reasoning": reasoning}),
        _quotes=Quote(cost_usd=input_usd and Decimal(input_usd) + Decimal(output_usd)),
        _inputs=sent if parts is not None else "the recording has no request body",
        **values,
    )


AGENT = ExplainedTest(
    "test_agent.py::test_birds",
    [
        call(0, parts={"tools": 900, "user": 100}, tools={"search": 600, "rain": 300}, output=50, node="agent"),
        call(
            1,
            parts={"tools": 900, "history": 1000, "user": 100},
            tools={"search": 600, "rain": 300},
            output=100,
            reasoning=60,
            input_usd="0.02",
            where="agent.py:12 in answer",
            node="agent",
        ),
    ],
    ["a timestamp at messages[0].content breaks the prefix: ~12 tokens are sent anew in 1 call"],
)


def test_the_largest_causes_come_first_in_words():
    assert why_lines([AGENT], 200) == [
        "why it costs that (shares are estimates)",
        (
            "1. ~$0.01800, 36 %: test_agent.py::test_birds, node agent: 2 calls send the schemas of their tools, "
            "~1,800 tokens, of them ~1,200 for search"
        ),
        "   To change it: send fewer tools, or shorten their descriptions",
        "2. ~$0.01400, 28 %: test_agent.py::test_birds, node agent: 2 calls receive the model's answers, 90 tokens; most in call 1",
        "   To change it: ask for shorter answers, or limit them with max_tokens",
        "3. ~$0.01000, 20 %: test_agent.py::test_birds, node agent: 1 call sends earlier messages again, ~1,000 tokens",
        "   To change it: drop or summarise old messages",
        "4. ~$0.00600, 12 %: test_agent.py::test_birds, node agent: 1 call receives the model's reasoning, 60 tokens",
        "   To change it: lower the reasoning effort",
        "5. ~$0.00200, 4 %: test_agent.py::test_birds, node agent: 2 calls send the user's messages, ~200 tokens",
        "   To change it: shorten the prompt",
        "",
        "test_agent.py::test_birds: a timestamp at messages[0].content breaks the prefix: ~12 tokens are sent anew in 1 call",
    ]


def test_a_cause_goes_on_below_its_words():
    lines = why_lines([AGENT], 60)

    assert max(map(len, lines)) <= 60
    assert lines[1:5] == [
        "1. ~$0.01800, 36 %: test_agent.py::test_birds, node agent: 2",
        "   calls send the schemas of their tools, ~1,800 tokens, of",
        "   them ~1,200 for search",
        "   To change it: send fewer tools, or shorten their",
    ]
    assert lines[-3:] == [
        "test_agent.py::test_birds: a timestamp at",
        "  messages[0].content breaks the prefix: ~12 tokens are sent",
        "  anew in 1 call",
    ]


def test_the_costs_of_the_causes_add_up_to_the_cost_of_the_calls():
    found = causes([AGENT])

    assert sum(cause.cost_usd for cause in found) == sum(call.cost_usd for call in AGENT.calls)
    assert sum(cause.tokens for cause in found) == sum(call.usage.total_tokens for call in AGENT.calls)


def test_without_prices_tokens_decide():
    lines = why_lines(
        [ExplainedTest("a.py::test", [call(parts={"user": 30, "system": 60}, output=10, input_usd=None)])], 80
    )

    assert lines[:2] == [
        "why it takes that (shares are estimates)",
        "1. 60 %: a.py::test: 1 call sends the system prompt, ~60 tokens",
    ]


def test_input_that_cannot_be_split_is_one_cause():
    unreadable = Call(index=0, usage=TokenUsage.from_counts(100, 0), _inputs="the recording has no request body")

    (cause,) = causes([ExplainedTest("a.py::test", [unreadable])])

    assert (cause.part, cause.tokens, cause.cost_usd) == ("input", 100, None)


def test_every_part_has_words():
    for part in PARTS:
        (cause,) = causes([ExplainedTest("a.py::test", [call(parts={part: 5}, output_usd="0")])])
        assert "1 call sends" in cause.words
        assert cause.change


def test_no_call_has_no_cause():
    assert why_lines([ExplainedTest("shared fixtures", [])], 80) == []


@pytest.fixture
def run(pytester, forked):
    """A run of two tests on recordings, as `--llm-usage-json` writes it; gives pytest's output."""
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "s " * 400}, {"role": "user", "content": "u"}],
    }
    usage = {"prompt_tokens": 500, "completion_tokens": 5, "total_tokens": 505}
    pytester.makepyfile(
        test_why=f"""
        import json
        import pytest
        from pytest_llm_usage.tracker import current
        from pytest_llm_usage.wire.exchange import Exchange

        BODY = {body!r}
        ANSWER = {{"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "usage": {usage!r}}}

        @pytest.mark.parametrize("name", ["one", "two"])
        def test_asks(llm_usage, name):
            for _ in range(2):
                tracker = current()
                tracker.take_in(Exchange(
                    "POST", "https://api.openai.com/v1/chat/completions", request_body=json.dumps(BODY).encode(),
                    status=200, response_body=json.dumps(ANSWER).encode(),
                ), tracker.request())
        """
    )

    def run(*options):
        result = pytester.runpytest_subprocess("--llm-usage-json=run.json", *options)
        result.assert_outcomes(passed=2)
        return result.stdout.str()

    return run


def test_the_section_says_why(run):
    printed = run("--llm-usage-report=why")

    assert re.search(
        r"^1\. ~\$0\.\d+, 4\d %: test_why\.py::test_asks\[(one|two)\]: 2 calls send the system", printed, re.MULTILINE
    )
    assert "To change it: shorten it, or let the provider's prompt cache read it" in printed


def test_the_data_of_a_run_has_the_parts(run, pytester):
    run()
    data = json.loads((pytester.path / "run.json").read_text())

    for test in data["tests"].values():
        for made in test["calls"]:
            assert sum(made["input_by_part"]["tokens"].values()) == 500
            assert Decimal(made["input_by_part"]["cost_usd"]) == Decimal("0.15") * 500 / 1_000_000


def test_the_command_says_the_same_as_the_section(run, pytester, capsys):
    printed = run("--llm-usage-report=why")
    capsys.readouterr()

    assert main(["why", str(pytester.path / "run.json")]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == "why it costs that (shares are estimates)"
    assert " ".join(told.split()[:40]) in " ".join(printed.split())


def test_one_test_alone(run, pytester, capsys):
    run()

    assert main(["why", str(pytester.path / "run.json"), "test_asks[two]"]) == 0
    told = capsys.readouterr().out
    assert "test_asks[two]" in told
    assert "test_asks[one]" not in told
    assert main(["why", str(pytester.path / "run.json"), "test_nothing"]) == 2
    assert "run.json: no test is called 'test_nothing'" in capsys.readouterr().err


def test_a_run_without_parts_says_how_to_get_them(run, pytester, capsys):
    run()
    file = pytester.path / "run.json"
    data = json.loads(file.read_text())
    for test in data["tests"].values():
        for made in test["calls"]:
            del made["input_by_part"]
    file.write_text(json.dumps(data))

    assert main(["why", str(file)]) == 0
    assert "The run was written without what its calls sent" in capsys.readouterr().out
