"""What recording stale tests again will cost, said before it is spent: `--llm-usage-plan`, and budgets that hold for it."""

import re
from decimal import Decimal
from types import SimpleNamespace

import counting_server
import pytest
from counting_server import serving
from test_rerecording import APP, FORTY, contents

from pytest_llm_usage.money import plain
from pytest_llm_usage.plugin.plan import plan_lines
from pytest_llm_usage.plugin.progress import SpendingSoFar

COST = Decimal("0.000057")  # of one call of the app: 300 tokens in, 20 out


@pytest.fixture
def project(pytester, monkeypatch):
    pytester.makepyfile(app=APP)
    monkeypatch.setenv("OPENAI_API_KEY", "of the developer")
    with serving() as provider:
        monkeypatch.setenv("APP_URL", provider.url)
        pytester.provider = provider
        yield pytester


def planned(result):
    """The last row of the plan: calls, likely, from, to."""
    (row,) = [line.split() for line in result.outlines if re.match(r"all  +\d", line)]
    return row[1:]


# Nothing is sent ---------------------------------------------------------------------------------------------------------


def test_the_plan_says_what_recording_will_cost_and_sends_nothing(project, plugin_args, monkeypatch):
    project.makepyfile(test_it=FORTY.format(changed="()", count=40))
    project.runpytest("--llm-usage-record=stale").assert_outcomes(passed=40)
    before = contents(project)
    project.provider.asked.clear()
    project.makepyfile(test_it=FORTY.format(changed="(3, 17, 39)", count=40))

    result = project.runpytest(*plugin_args, "--llm-usage-plan")

    result.assert_outcomes(passed=37, failed=3)
    assert not project.provider.asked
    assert contents(project) == before
    assert "Plan: recording 3 stale tests again, with gpt-4o-mini-2024-07-18" in result.outlines
    for number in (3, 17, 39):
        result.stdout.fnmatch_lines([f"test_it.py::test[[]{number}] *1 *0.00006 *0.00005 *0.00007"])
    calls, likely, least, most = planned(result)
    assert (calls, likely) == ("3", "0.00017")
    (command,) = [line for line in result.outlines if line.startswith("  pytest ")]
    assert result.outlines[result.outlines.index(command) - 1] == "Nothing was sent. Record them:"
    names = [f'"test_it.py::test[{number}]"' for number in (3, 17, 39)]
    assert sorted(command.split()[1:-1]) == sorted(names)
    assert command.endswith(" --llm-usage-record=stale")

    # What changed is a few tokens longer, and the answers are not the recorded ones.
    count = counting_server._question
    monkeypatch.setattr(
        counting_server,
        "_question",
        lambda path, text: count(path, text)._replace(**({"sent": 303, "received": 35} if "now?" in text else {})),
    )
    result = project.runpytest("--llm-usage-record=stale")
    result.assert_outcomes(passed=40)
    assert len(project.provider.asked) == 3
    (spent,) = re.findall(r" 1,014 tokens \$(\S+) \[100%\]", result.stdout.str())
    assert Decimal(spent) == Decimal("0.00020") > Decimal(likely)
    assert Decimal(least) <= Decimal(spent) <= Decimal(most)


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_the_plan_keeps_to_the_width_of_the_terminal(project, monkeypatch, columns):
    name = f"test_{'whether_the_agent_answers_' * 3}"
    project.makepyfile(test_it=FORTY.replace("def test(", f"def {name}(").format(changed="()", count=2))
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=2)
    project.makepyfile(test_it=FORTY.replace("def test(", f"def {name}(").format(changed="(1,)", count=2))
    monkeypatch.setenv("COLUMNS", columns)
    lines = project.runpytest("--llm-usage-plan").outlines
    start = lines.index("Plan: recording 1 stale test again, with gpt-4o-mini-2024-07-18")
    table = lines[start + 2 : start + 5]
    assert table[0].split() == ["test", "calls", "USD", "from", "to"]
    assert table[2].startswith("all ")
    assert max(map(len, table)) <= int(columns)
    assert table[1].split("  ")[0].endswith("[1]")


@pytest.mark.parametrize("columns_most", [60, 80, 120])
def test_a_plan_with_several_models_keeps_to_the_width_too(columns_most):
    amount = ["0.1", "0.1", "0.1"]
    models = ("gpt-4o-mini-2024-07-18", "us.anthropic.claude-sonnet-4-20250514-v1:0")
    plans = {
        f"tests/test_agent.py::test_{'answers_' * 5}[{number}]": {
            "test": "t",
            "is_known": True,
            "models": {model: [1, amount, amount] for model in models},
        }
        for number in range(2)
    }
    lines = plan_lines(plans, columns_most)
    end = lines.index("", 2)
    assert lines[0] == "Plan: recording 2 stale tests again"
    assert lines[2].split() == ["test", "model", "calls", "USD", "from", "to"]
    assert max(map(len, lines[2:end])) <= columns_most
    assert len(set(lines[3:7])) == 4
    assert [line.split()[:2] for line in lines[7 : end - 1]] == [["all", "of"], ["all", "of"]]


def test_a_test_that_stops_at_its_first_call_is_planned_with_all_of_them(project):
    code = """
        from app import ask
        def test(llm_usage):
            ask("{first}")
            ask("second")
            ask("third")
    """
    project.makepyfile(test_it=code.format(first="first"))
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it=code.format(first="another"))
    calls, likely, least, most = planned(project.runpytest("--llm-usage-plan"))
    assert (calls, likely) == ("3", "0.00017")
    assert Decimal(least) <= COST, "what comes after it may still match"
    assert Decimal(most) >= 3 * COST


MORE_CALLS = """
    from app import ask

    def test(llm_usage):
        for text in {texts}:
            ask(text)
"""


@pytest.mark.parametrize("texts", [["fish", "then", "now"], ["bird", "then", "now"]], ids=["changed", "as it was"])
def test_calls_beyond_the_recording_are_in_no_plan_and_both_say_so(project, texts):
    project.makepyfile(test_it=MORE_CALLS.format(texts=["bird"]))
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it=MORE_CALLS.format(texts=texts))
    result = project.runpytest("--llm-usage-plan")
    calls, _, _, most = planned(result)
    assert calls == "1"
    result.stdout.fnmatch_lines(["not included: calls beyond those in the recording; *", "  *"])
    result.stdout.no_fnmatch_line("Recording took*")

    result = project.runpytest("--llm-usage-record=stale", budget(Decimal(1)))
    result.assert_outcomes(passed=1)
    made = 2 + (texts[0] == "fish")
    assert Decimal(most) < made * COST
    took = f"Recording took ${plain(round(made * COST, 5))}, more than the plan"
    longer = f"more calls than recorded before: test_it.py::test ({made} calls, 1 planned)"
    assert f"{took}; {longer}" in result.outlines


def test_the_budget_holds_for_calls_beyond_the_plan(project):
    project.makepyfile(test_it=MORE_CALLS.format(texts=["bird"]))
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    before = contents(project)
    project.provider.asked.clear()
    project.makepyfile(test_it=MORE_CALLS.format(texts=["fish", "then", "now", "again", "ever"]))
    limit = Decimal("1.5") * COST  # the plan takes up to that
    result = project.runpytest("--llm-usage-record=stale", budget(limit))
    result.assert_outcomes(failed=1)
    assert len(project.provider.asked) == 2, "the call that exceeds it is the last one"
    assert contents(project) == before


def test_a_longer_prompt_costs_more(project):
    project.makepyfile(test_it="from app import ask\ndef test(llm_usage): ask('bird')")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it="from app import ask\ndef test(llm_usage): ask('bird ' * 1001)")
    _, likely, _, _ = planned(project.runpytest("--llm-usage-plan"))
    assert Decimal("0.00020") < Decimal(likely) < Decimal("0.00022")  # 1,000 tokens more, at $0.15 a million


def test_another_model_is_priced_as_that(project):
    project.makepyfile(test_it="from app import ask\ndef test(llm_usage): ask('bird')")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(app=APP.replace("gpt-4o-mini", "gpt-4o"))
    result = project.runpytest("--llm-usage-plan")
    result.stdout.fnmatch_lines(
        ["Plan: *, with gpt-4o", "test_it.py::test *1 *0.00095 *"]
    )  # 300 at $2.50 and 20 at $10 a million


def test_a_model_without_a_price_is_unpriced(project):
    project.makepyfile(test_it="from app import ask\ndef test(llm_usage): ask('bird')")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(app=APP.replace("gpt-4o-mini", "in-house-1"))
    result = project.runpytest("--llm-usage-plan")
    result.stdout.fnmatch_lines(["Plan: *, with in-house-1", "test_it.py::test *1 *unpriced", "all *1 *not known"])


def test_what_is_not_recorded_is_not_known(project):
    project.makepyfile(test_it="from app import ask\ndef test_old(llm_usage): ask('bird')")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(
        test_it="from app import ask\ndef test_old(llm_usage): ask('fish')\ndef test_new(llm_usage): ask('bird')"
    )
    result = project.runpytest("--llm-usage-plan")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_new *[?] *[?] *[?]",
            "all * >=1 *>=0.00006 *0.00005 *[?]",
            "[?]: not known, because requests are new: test_it.py::test_new",
        ]
    )


def test_a_total_over_what_is_not_known_is_at_least_that_however_small_it_is():
    amount = ["0.000001", "0.000002", "0.000003"]
    plans = {
        "t.py::test_old": {"test": "t", "is_known": True, "models": {"m": [1, amount, amount]}},
        "t.py::test_new": {"test": "t", "is_known": False, "models": {}},
    }

    (total,) = (line for line in plan_lines(plans) if line.startswith("all "))

    assert total.split() == ["all", ">=1", ">0", "<0.00001", "?"]


def test_a_renamed_test_costs_nothing_and_is_not_in_the_plan(project):
    project.makepyfile(test_it="from app import ask\ndef test_old(llm_usage): ask('bird')")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it="from app import ask\ndef test_new(llm_usage): ask('bird')")
    result = project.runpytest("--llm-usage-plan")
    result.stdout.fnmatch_lines(["Was the test renamed?*git mv*", "Plan: every recording matches*"])


def test_a_recording_that_is_too_old_is_planned_as_a_whole(project):
    project.makepyfile(test_it="from app import ask\ndef test(llm_usage):\n    ask('bird')\n    ask('fish')")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    (path,) = (project.path / "cassettes").rglob("*.yaml")
    path.write_text(re.sub(r'(date:\n *- )"[^"]*"', r'\1"Sun, 02 Feb 2020 00:00:00 GMT"', path.read_text()))
    result = project.runpytest("--llm-usage-plan", "-o", "llm_usage_max_age=30")
    calls, likely, least, _ = planned(result)
    assert (calls, likely) == ("2", "0.00011")
    assert Decimal(least) > COST


def test_the_cassette_of_a_fixture_is_planned_with_the_test_that_asks_first(project):
    code = """
        import pytest
        from app import ask

        @pytest.fixture(scope="module")
        def answer(llm_cassette):
            with llm_cassette("shared"):
                ask("{text}")

        def test(answer): pass
    """
    project.makepyfile(test_it=code.format(text="bird"))
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.provider.asked.clear()
    project.makepyfile(test_it=code.format(text="fish"))
    result = project.runpytest("--llm-usage-plan")
    result.assert_outcomes(errors=1)
    assert planned(result)[:2] == ["1", "0.00006"]
    assert not project.provider.asked


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite", "stale", "live"])
def test_no_mode_of_a_marker_sends_anything(project, mode):
    project.makepyfile(
        test_it=f"""
        import pytest
        from app import ask

        @pytest.mark.llm_cassette(record="{mode}")
        def test(llm_usage): ask("bird")
        """
    )
    project.runpytest("--llm-usage-plan").assert_outcomes(failed=1)
    assert not project.provider.asked
    assert contents(project) == {}


def test_ini_and_environment_plan_as_well(project, monkeypatch):
    project.makepyfile(test_it="from app import ask\ndef test(llm_usage): ask('bird')")
    project.runpytest("-o", "llm_usage_plan=on", "--llm-usage-record=stale").assert_outcomes(failed=1)
    monkeypatch.setenv("PYTEST_LLM_USAGE_PLAN", "on")
    project.runpytest("--llm-usage-record=stale").assert_outcomes(failed=1)
    assert not project.provider.asked


def test_a_plan_of_another_mode_is_refused(project):
    result = project.runpytest("--llm-usage-plan", "--llm-usage-record=all")
    result.stderr.fnmatch_lines(
        ["ERROR: --llm-usage-plan: tells what --llm-usage-record=stale will cost; leave out --llm-usage-record=all"]
    )


def test_a_model_call_without_a_cassette_is_not_sent(project):
    project.makepyfile(
        test_it="""
        import openai
        def test():
            client = openai.OpenAI(base_url="https://provider.invalid/v1", max_retries=0)
            client.chat.completions.create(model="gpt-4o-mini", messages=[])
        """
    )
    result = project.runpytest("--llm-usage-plan")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*provider.invalid*live*"])


def test_where_all_matches_there_is_nothing_to_pay(project):
    project.makepyfile(test_it="from app import ask\ndef test(llm_usage): ask('bird')")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    result = project.runpytest("--llm-usage-plan")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["Plan: every recording matches; there is nothing to record again"])


# Within a budget -----------------------------------------------------------------------------------------------------------


def changed(project, numbers, count=12):
    """Tests with recordings, of which some have changed since; nothing is counted of how they were recorded."""
    project.makepyfile(test_it=FORTY.format(changed="()", count=count))
    project.runpytest("--llm-usage-record=stale").assert_outcomes(passed=count)
    project.makepyfile(test_it=FORTY.format(changed=numbers, count=count))
    project.provider.asked.clear()
    return contents(project)


def budget(amount):
    return f"--session-max-cost={plain(amount)}"


def test_below_the_plan_nothing_is_sent(project, plugin_args):
    before = changed(project, "(3, 7, 11)")
    limit = 21 * COST + 3 * COST  # what is replayed, and what is likely: answers may be longer
    result = project.runpytest(*plugin_args, "--llm-usage-record=stale", budget(limit))
    result.assert_outcomes(passed=9, failed=3)
    assert not project.provider.asked
    assert contents(project) == before
    verdict = (
        "FAILED llm-usage: recording 3 stale tests again takes up to $0.000208* on top of $0.001197 for replayed calls, "
        f"limit ${plain(limit)} (--session-max-cost); nothing was sent"
    )
    result.stdout.fnmatch_lines(
        ["Plan: recording 3 stale tests again, with *", "Nothing was sent. Record them:", verdict]
    )


def test_within_the_plan_the_stale_tests_alone_are_recorded(project, plugin_args):
    before = changed(project, "(3, 7, 11)")
    result = project.runpytest(*plugin_args, "--llm-usage-record=stale", budget(Decimal("0.00141")))
    result.assert_outcomes(passed=12)
    assert len(project.provider.asked) == 3
    after = contents(project)
    assert {name for name in before if before[name] != after[name]} == {"test[3].yaml", "test[7].yaml", "test[11].yaml"}
    _, _, least, most = planned(result)
    assert Decimal(least) <= 3 * COST <= Decimal(most)
    # What the stale tests replayed before is not counted twice.
    result.stdout.fnmatch_lines(
        [
            "Recorded again: 3 tests (--llm-usage-record=stale)",
            "Recording took $0.00017, within the plan",
            "total *24 *7,200 *480 *0.00137",
        ]
    )
    result.stdout.no_fnmatch_line("*Nothing was sent*")


def test_a_budget_of_tokens_holds_for_the_plan_too(project):
    changed(project, "(1,)", count=2)
    result = project.runpytest("--llm-usage-record=stale", "--session-max-tokens=1280")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*takes up to 343 tokens on top of 960 tokens for replayed calls, limit 1,280 *"])
    assert not project.provider.asked
    project.runpytest("--llm-usage-record=stale", "--session-max-tokens=1303").assert_outcomes(passed=2)


def test_what_is_not_known_is_recorded_while_the_budget_lasts(project):
    project.makepyfile(test_it="from app import ask\ndef test_new(llm_usage): ask('bird')")
    result = project.runpytest("--llm-usage-record=stale", budget(COST))
    result.assert_outcomes(passed=1)
    assert len(project.provider.asked) == 1
    result.stdout.fnmatch_lines(["test_it.py::test_new *[?] *[?] *[?]", "all *[?] *not known"])


def test_a_stale_test_that_fails_while_it_is_recorded_stays_as_it_is(project):
    code = "from app import ask\ndef test(llm_usage):\n    ask('{}')\n    assert {}"
    project.makepyfile(test_it=code.format("bird", True))
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    before = contents(project)
    project.makepyfile(test_it=code.format("fish", False))
    result = project.runpytest("--llm-usage-record=stale", "--session-max-cost=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not saved: the test failed (1 call, $0.000057 spent)"])
    assert contents(project) == before


def test_calls_of_wider_fixtures_are_not_lost_with_the_reports_that_are_kept(project):
    code = """
        import pytest
        from app import ask

        @pytest.fixture(scope="module")
        def answer(llm_cassette):
            with llm_cassette("shared"):
                ask("shared")

        def test(answer, llm_usage): ask("{text}")
    """
    project.makepyfile(test_it=code.format(text="bird"))
    project.runpytest("--llm-usage-record=stale").assert_outcomes(passed=1)
    project.provider.asked.clear()
    project.makepyfile(test_it=code.format(text="fish"))
    result = project.runpytest("--llm-usage-record=stale", "--session-max-cost=1")
    result.assert_outcomes(passed=1)
    # The fixture is set up again, and replays again.
    assert len(project.provider.asked) == 1
    result.stdout.fnmatch_lines(["total *3 *900 *60 *0.00017"])


def test_a_worker_that_dies_keeps_everything_from_being_sent(project):
    project.makepyfile(
        test_it="""
        import os
        import pytest
        from app import ask

        @pytest.mark.parametrize("number", range(6))
        def test(number, llm_usage):
            if number == 5:
                os._exit(1)
            ask("bird")
        """
    )
    result = project.runpytest("-n", "2", "--llm-usage-record=stale", "--session-max-cost=1")
    assert not project.provider.asked
    result.stdout.fnmatch_lines(["FAILED llm-usage: a worker ended before it was known what *; nothing was sent"])


def test_a_plan_beside_a_budget_says_whether_it_fits(project):
    changed(project, "(1,)", count=2)
    project.runpytest("--llm-usage-plan", budget(Decimal("0.0005"))).stdout.no_fnmatch_line("FAILED llm-usage*")
    result = project.runpytest("--llm-usage-plan", budget(4 * COST))
    result.stdout.fnmatch_lines(["FAILED llm-usage: recording 1 stale test again takes up to *; nothing was sent"])


# While it records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["-p no:xdist", "-p no:xdist -q", "-p no:xdist -v", "-n 0", "-n 2", "-n 2 -v"])
def test_the_progress_line_shows_what_is_spent_while_it_records(project, arguments):
    project.makepyfile(test_it=FORTY.format(changed="()", count=2))
    result = project.runpytest("--llm-usage-record=once", *arguments.split(), "--color=no")
    result.assert_outcomes(passed=2)
    lines = [line for line in result.outlines if re.search(r"1,280 tokens \$0\.00023 \[100%\]", line)]
    assert len(lines) == 1
    assert len(lines[0]) < 80
    if "-v" in arguments:
        result.stdout.fnmatch_lines(["* 640 tokens $0.00011 [[] 50%]*"])
    result = project.runpytest(*arguments.split())
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*tokens $*%*")


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ([[640, "0.00011", 2], [320, "0.00006", 1]], "960 tokens $0.00017"),
        ([[640, "0.00011", 2], [320, None, 1]], "960 tokens >=$0.00011"),
        ([[640, "0.00011", 2], [None, None, 1]], ">=640 tokens >=$0.00011"),
        ([[17, "0.000004", 1]], "17 tokens <$0.00001"),
        ([[17, "0.000004", 1], [320, None, 1]], "337 tokens >$0"),
        ([[320, None, 1]], "320 tokens unpriced"),
        ([[None, None, 1]], "? tokens unpriced"),
    ],
)
def test_what_is_spent_so_far_is_at_least_what_is_known_of_it(sent, text):
    config = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda name: None))
    so_far = SpendingSoFar(config)
    for number, row in enumerate(sent):
        so_far.add(f"test_{number}", {"": row})
    assert so_far.text == text


def test_lines_of_dots_keep_to_the_width_of_the_terminal(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    project.makepyfile(
        test_it="def test_plain(): pass\n"
        + "\n".join(f"def test_{n}(): pass" for n in range(120))
        + "\nfrom app import ask\ndef test_0(llm_usage): ask('bird')"
    )
    project.makepyfile(test_a="from app import ask\ndef test_0(llm_usage): ask('bird')")
    result = project.runpytest("--llm-usage-record=once")
    lines = [line for line in result.outlines if line.endswith("%]")]
    assert len(lines) > 2
    assert {len(line) for line in lines} == {69}
    assert all("320 tokens $0.00006" in line or "640 tokens $0.00011" in line for line in lines)


@pytest.mark.parametrize("style", ["classic", "count", "times"])
def test_other_styles_of_progress_are_as_pytest_has_them(project, style):
    project.makepyfile(test_it=FORTY.format(changed="()", count=2))
    result = project.runpytest("--llm-usage-record=once", "-o", f"console_output_style={style}")
    result.assert_outcomes(passed=2)
    (line,) = [line for line in result.outlines if line.startswith("test_it.py ..")]
    assert ("1,280 tokens $0.00023" in line) == (style != "classic")
