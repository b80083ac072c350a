"""Costs as a project sees them: by whose price, at which day, what is said where there is none, and what a change is."""

import json
import os
import re
from decimal import Decimal
from html import escape

import pytest
import yaml

SPENDS = """
    from fakes import FakeChatModel

    def test_it(llm_usage):
        FakeChatModel(usage=(1_000, 500)).invoke("one")
"""
PRICES = '[models]\n"acme-*" = { input = 1, output = 2 }\n'
ACME = """
    from fakes import UNPRICED_MODEL, FakeChatModel

    def spend(tokens=1_000):
        FakeChatModel(model=UNPRICED_MODEL, provider="acme", usage=(tokens, 500)).invoke("one")
"""


def acme(pytester, body, prices=PRICES):
    """A test (what `body` holds of it) that spends at prices of one's own."""
    pytester.makefile(".toml", prices=prices)
    pytester.makeini("[pytest]\nllm_usage_prices = prices.toml\n")
    pytester.makepyfile(spending=ACME, test_acme=f"from spending import spend\n\n{body}\n")


class TestOnesOwn:
    def test_a_file(self, pytester, plugin_args):
        acme(
            pytester,
            "def test_it(llm_usage):\n    spend()\n    assert str(llm_usage.cost) == '0.002'\n"
            "    assert llm_usage.calls[0].quote.source == 'prices.toml:2'",
        )
        result = pytester.runpytest(*plugin_args)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["*prices: prices.toml:2"])

    def test_a_file_with_a_mistake_is_one_line(self, pytester):
        acme(pytester, "def test_it():\n    spend()", prices='[models]\n\n"acme" = { imput = 1 }\n')
        result = pytester.runpytest()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        (error,) = filter(None, result.stderr.lines)
        assert error == (
            "ERROR: prices.toml:3: model 'acme': 'imput' is not a price kind "
            "(input, output, cache_read, cache_write, ...); did you mean 'input'?"
        )

    def test_a_fixture_of_ones_own(self, pytester):
        pytester.makepyfile(
            spending=ACME,
            test_acme="""
                import pytest
                from spending import spend

                @pytest.fixture(scope="session")
                def llm_usage_prices():
                    return {"acme-1": 0.004}  # as NVIDIA's price_map: USD per thousand

                def test_it(llm_usage):
                    spend()
                    assert str(llm_usage.cost) == "0.006"
            """,
        )
        pytester.runpytest().assert_outcomes(passed=1)


class TestUnpriced:
    def test_reading_the_cost_says_why_and_which_line_settles_it(self, pytester):
        acme(pytester, "def test_it(llm_usage):\n    spend()\n    llm_usage.cost", prices="")
        result = pytester.runpytest()
        result.stdout.fnmatch_lines(
            [
                "E *PriceUnknownError: cost is not known: 1 of 1 call has no price",
                "E *1  acme-1  no price is known for acme-1: genai-prices * does not know the provider acme  spending.py:4 in spend",
                "E *Add to the file of llm_usage_prices:",
                'E *  "acme-1" = { provider = "acme", input = [?], output = [?] }',
                "*and 1 unpriced call",
                "unpriced: no price is known for acme-1: *",
                '  "acme-1" = { provider = "acme", input = [?], output = [?] }',
            ]
        )

    def test_a_file_that_is_made_as_the_message_says_settles_it(self, pytester):
        pytester.makepyfile(
            spending=ACME,
            test_acme="from spending import spend\n\ndef test_it(llm_usage):\n    spend()\n    llm_usage.cost",
        )
        lines = pytester.runpytest().stdout.lines
        start = next(number for number, line in enumerate(lines) if "Add to the file of llm_usage_prices:" in line)
        added = lines[start + 1].removeprefix("E").strip()
        name, first, setting = re.fullmatch(
            r"E  +No such file yet\? Create (\S+) with the first line  (.+)\n"
            r"E  +and set  (.+)  in pytest's configuration",
            "\n".join(lines[start + 2 : start + 4]),
        ).groups()
        (pytester.path / name).write_text(f"{first}\n{added.replace('?', '1')}\n")
        pytester.makeini(f"[pytest]\n{setting}\n")
        pytester.runpytest().assert_outcomes(passed=1)

    @pytest.mark.parametrize(("policy", "warnings"), [("warn", 1), ("ignore", 0)])
    def test_what_is_known_counts_where_configuration_says_so(self, pytester, policy, warnings):
        pytester.makepyfile(
            spending=ACME,
            test_acme=SPENDS.replace('"one")', '"one"); spend(); assert str(llm_usage.cost) == "0.00045"').replace(
                "from fakes", "from spending import spend\n    from fakes"
            ),
        )
        result = pytester.runpytest("-o", f"llm_usage_unpriced={policy}", "--max-cost=1", "-W", "default")
        result.assert_outcomes(passed=1, warnings=warnings)


class TestReports:
    def test_a_call_without_a_price_says_why_and_what_settles_it(self, pytester):
        acme(pytester, "def test_it():\n    spend()", prices="")
        pytester.runpytest("--llm-usage-json=run.json", "--llm-usage-md=run.md", "--llm-usage-html=run.html")
        (record,) = json.loads((pytester.path / "run.json").read_text())["tests"].values()
        (call,) = record["calls"]
        assert "cost_usd" not in call
        assert call["price"]["reason"].startswith("no price is known for acme-1: ")
        assert call["price"]["fix"] == '"acme-1" = { provider = "acme", input = ?, output = ? }'
        text = (pytester.path / "run.md").read_text(encoding="utf-8")
        assert "- unpriced: no price is known for acme-1: genai-prices" in text
        assert f"`{call['price']['fix']}`" in text
        page = (pytester.path / "run.html").read_text(encoding="utf-8")
        assert f"<code>{escape(call['price']['fix'])}</code>" in page

    def test_every_call_says_by_whose_price(self, pytester, plugin_args):
        pytester.makepyfile(test_it=SPENDS)
        result = pytester.runpytest(
            *plugin_args, "--llm-usage-json=run.json", "--llm-usage-md=run.md", "--llm-usage-html=run.html"
        )
        result.stdout.fnmatch_lines(["*prices: genai-prices *"])
        (record,) = json.loads((pytester.path / "run.json").read_text())["tests"].values()
        source = record["calls"][0]["price"]["source"]
        assert source.startswith("genai-prices ")
        assert source.endswith(", openai/gpt-4o-mini")
        book = source.partition(",")[0]
        assert f"prices: {book}" in (pytester.path / "run.md").read_text(encoding="utf-8")
        page = (pytester.path / "run.html").read_text(encoding="utf-8")
        assert f"prices: {book}" in page
        assert f'title="{source}"' in page

    def test_the_explanation_adds_up(self, pytester):
        pytester.makepyfile(
            SPENDS + '        FakeChatModel(model="gpt-4-turbo", usage=(11, 15)).invoke("two")\n'
            "        print(llm_usage.explain_cost())\n"
        )
        result = pytester.runpytest("-s")
        result.stdout.fnmatch_lines(
            [
                "*          quantity  USD per 1M      USD",
                "gpt-4o-mini",
                "  input      1,000        0.15  0.00015",
                "  output       500        0.6   0.0003",
                "gpt-4-turbo",
                "  input         11       10     0.00011",
                "  output        15       30     0.00045",
                "total                           0.00101",
                "",
                "prices: genai-prices *, openai/gpt-4o-mini",
                "prices: genai-prices *, openai/gpt-4-turbo",
            ],
            consecutive=True,
        )


class TestSnapshots:
    BODY = "def test_it(llm_usage, usage_snapshot):\n    spend({})\n    assert llm_usage == usage_snapshot"

    @pytest.fixture
    def project(self, pytester, monkeypatch):
        monkeypatch.setenv("PYTEST_ADDOPTS", f"{os.environ['PYTEST_ADDOPTS']} -p syrupy")
        acme(pytester, self.BODY.format(1_000))
        pytester.runpytest("--snapshot-update").assert_outcomes(passed=1)
        return pytester

    def test_hold_by_whose_price_it_is(self, project):
        (snapshot,) = project.path.rglob("*.usage.yaml")
        model = yaml.safe_load(snapshot.read_text())["test_it"]["acme-1"]
        assert (model["cost_usd"], model["price_from"]) == ("0.002", "prices.toml:2")

    def test_a_price_that_changed_is_no_change_of_tokens(self, project):
        acme(project, self.BODY.format(1_000), prices='[models]\n\n"acme-1" = { input = 1, output = 3 }\n')
        result = project.runpytest()
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "E *cost_usd * 0.00200  0.00250  +0.00050  +25 %",
                "E *Only the price changed, the tokens are the same (prices.toml:2 then,*",
            ]
        )

    def test_tokens_that_changed_are_no_change_of_the_price(self, project):
        acme(project, self.BODY.format(1_500))
        text = project.runpytest().stdout.str()
        assert "Prompts grew by 500 tokens" in text
        assert "price" not in text.partition("LLM usage ==")[0].partition("LLM usage differs")[2]

    def test_both(self, project):
        acme(project, self.BODY.format(1_500), prices='[models]\n\n"acme-1" = { input = 1, output = 3 }\n')
        text = " ".join(line.removeprefix("E").strip() for line in project.runpytest().stdout.lines)
        assert "Prompts grew by 500 tokens" in text
        assert "at a different price (prices.toml:2 then, prices.toml:3 now)" in text

    def test_the_same_numbers_from_elsewhere_are_the_same(self, project):
        acme(project, self.BODY.format(1_000), prices='[models]\n\n"acme-1" = { input = 1, output = 2 }\n')
        project.runpytest().assert_outcomes(passed=1)


# -- recordings ------------------------------------------------------------------------------------------------

REQUEST = {"model": "o3", "input": "hi"}
ANSWER = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "o3",
    "output": [{"type": "web_search_call", "status": "completed", "action": {"type": "search"}}],
    "usage": {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100},
}
REPLAYS = """
    import json
    import urllib.request

    def test_it(llm_usage):
        request = urllib.request.Request(
            "https://api.openai.com/v1/responses",
            json.dumps({request}).encode(),
            {{"content-type": "application/json"}},
        )
        urllib.request.urlopen(request).read()
        print(llm_usage.explain_cost())
        assert str(llm_usage.cost) == "{cost}"
"""


def recording(pytester, cost, date):
    """A cassette of one answer, and the test that replays it."""
    pytester.makepyfile(test_replay=REPLAYS.format(request=REQUEST, cost=cost))
    cassette = pytester.path / "cassettes" / "test_replay" / "test_it.yaml"
    cassette.parent.mkdir(parents=True)
    request = {"method": "POST", "uri": "https://api.openai.com/v1/responses", "body": json.dumps(REQUEST)}
    headers = {"content-type": ["application/json"]} | ({"date": [date]} if date else {})
    response = {"status": {"code": 200, "message": "OK"}, "headers": headers, "body": {"string": json.dumps(ANSWER)}}
    interaction = {"request": {**request, "headers": {"content-type": ["application/json"]}}, "response": response}
    cassette.write_text(yaml.safe_dump({"interactions": [interaction], "version": 1}))


@pytest.mark.parametrize("clock", ["2024-01-01", None, "2030-01-01"])
@pytest.mark.parametrize(
    ("date", "usd_in", "usd_out"),
    [
        pytest.param("Mon, 09 Jun 2025 12:00:00 GMT", 10, 40, id="before-it-became-cheaper"),
        pytest.param("Tue, 10 Jun 2025 12:00:00 GMT", 2, 8, id="since"),
        pytest.param(None, 2, 8, id="undated"),
    ],
)
def test_the_price_of_a_recording_does_not_depend_on_the_clock(pytester, forked, clock, date, usd_in, usd_out):
    tokens = (Decimal(usd_in) * 1_000 + Decimal(usd_out) * 100) / 1_000_000
    recording(pytester, tokens + Decimal("0.01"), date)
    if clock is not None:
        pytester.makeconftest(f"""
            import datetime, time
            time.time = lambda: datetime.datetime.fromisoformat("{clock}T00:00:00+00:00").timestamp()
        """)
    result = pytester.runpytest_subprocess("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  web_search *1 *0.01 each *0.01"])
    undated = "note: the recording does not say when it was made: *"
    (result.stdout.no_fnmatch_line if date else lambda line: result.stdout.fnmatch_lines([line]))(undated)
