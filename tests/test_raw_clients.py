"""Tests that never touch LangChain: the providers' own SDKs, seen through the cassette alone."""

from importlib.util import find_spec

import langchain_openai  # noqa: F401 -- a run inside this process forgets what it imported first, and clients with it
import pytest
from counting_server import serving
from plugin.printed import section, totals

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed")

#: What the tests of the throw-away projects ask, and with which client.
ASKING = """
    import os

    import openai
    import pytest

    URL = os.environ["PROVIDER_URL"]

    def client(**options):
        return openai.OpenAI(base_url=URL + "/v1", api_key="dummy-key", max_retries=0, **options)

    def ask(question, **options):
        messages = [{"role": "user", "content": question}]
        return client().chat.completions.create(model="gpt-4o-mini", messages=messages, **options)
"""


@pytest.fixture
def provider(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        yield server


@pytest.fixture
def project(pytester, provider):
    """A throw-away project."""
    pytester.makepyfile(asking=ASKING)
    pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")
    return pytester


def run(project, *arguments):
    return project.runpytest("-p", "no:cacheprovider", *arguments)


def run_apart(project, *arguments):
    """In a process of its own."""
    return project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_the_sdk_alone_has_numbers_budgets_snapshots_and_a_report(project, provider):
    project.makepyfile("""
        import sys
        from decimal import Decimal

        import pytest
        from asking import ask

        @pytest.mark.llm_budget(max_calls=2, max_tokens=1000)
        def test_it(llm_usage, usage_snapshot):
            ask("fastest bird? [812 64]")
            with llm_usage.section("streamed") as streamed:
                list(ask("fastest fish? [20 7]", stream=True, stream_options={"include_usage": True}))
            assert "langchain_core" not in sys.modules
            assert [(c.source, c.provider, c.status, c.streamed) for c in llm_usage.calls] == [
                ("http", None, "ok", False), ("http", None, "ok", True)
            ]
            assert (llm_usage.input_tokens, llm_usage.output_tokens, llm_usage.total_tokens) == (832, 71, 903)
            assert streamed.total_tokens == 27
            assert {model: view.total_tokens for model, view in llm_usage.by_model.items()} == {
                "gpt-4o-mini-2024-07-18": 903
            }
            assert llm_usage.calls[0].where == "asking.py:13 in ask"
            assert llm_usage.usage_metadata == {}
            assert llm_usage.discrepancies == ()
            assert llm_usage == usage_snapshot
    """)

    recorded = run_apart(project, "-p", "syrupy", "--llm-usage-record=once", "--snapshot-update")
    recorded.assert_outcomes(passed=1)
    assert len(provider.asked) == 2

    replayed = run_apart(project, "-p", "syrupy")
    replayed.assert_outcomes(passed=1)
    assert len(provider.asked) == 2
    assert totals(recorded) == totals(replayed)
    assert totals(replayed)["gpt-4o-mini-2024-07-18 (http)"][:4] == ("2", "832", "-", "71")


def test_a_budget_stops_the_next_request_before_it_is_sent(project, provider):
    project.makepyfile("""
        import pytest
        from asking import ask

        @pytest.mark.llm_budget(max_calls=2)
        def test_it(llm_usage):
            for number in range(5):
                try:
                    ask(f"bird {number}? [10 5]")
                except Exception:
                    pass  # an agent's loop
    """)

    result = run(project, "--llm-usage-record=once")

    result.assert_outcomes(failed=1)
    assert len(provider.asked) == 2
    result.stdout.fnmatch_lines(
        [
            "*LLM budget exceeded: 3 calls, limit 2 (@pytest.mark.llm_budget)",
            "*3  stopped before it was sent*asking.py:13*",
        ]
    )
    assert not list(project.path.rglob("cassettes"))


def test_a_budget_on_tokens_stops_what_comes_behind_it(project, provider):
    project.makepyfile("""
        from asking import ask

        def test_it(llm_usage):
            ask("fastest bird? [900 200]")
            ask("fastest fish? [1 1]")
    """)

    run(project, "--llm-usage-record=once", "--max-tokens=1k").assert_outcomes(failed=1)
    assert len(provider.asked) == 1


def test_a_budget_stops_the_sdk_while_a_stream_of_langchains_is_open(project, provider):
    project.makepyfile("""
        import pytest
        from asking import URL, ask
        from langchain_openai import ChatOpenAI

        @pytest.mark.llm_budget(max_calls=1)
        def test_it(llm_usage):
            model = ChatOpenAI(model="gpt-4o-mini", base_url=URL + "/v1", api_key="dummy-key")
            next(model.stream("fastest bird? [10 5]"))
            ask("fastest fish? [20 7]")

        @pytest.mark.llm_budget(max_calls=2)
        def test_a_batch_is_let_go_on(llm_usage):
            model = ChatOpenAI(model="gpt-4o-mini", base_url=URL + "/v1", api_key="dummy-key")
            questions = ("bird? [10 5]", "fish? [20 7]")
            model.generate([model._convert_input(question).to_messages() for question in questions])
    """)

    run(project, "--llm-usage-record=once").assert_outcomes(failed=1, passed=1)
    assert len(provider.asked) == 3


def test_calls_of_wider_fixtures_belong_to_the_run_whatever_recorded_them(project, provider):
    project.makepyfile("""
        import pytest
        from asking import URL, ask
        from langchain_openai import ChatOpenAI

        def model():
            return ChatOpenAI(model="gpt-4o-mini", base_url=URL + "/v1", api_key="dummy-key")

        @pytest.fixture(scope="module")
        def shared(llm_cassette):
            with llm_cassette("shared", record="once"):
                ask("set-up [1000 1]")
                model().invoke("set-up [2000 2]")
                yield

        def test_with_a_cassette_of_its_own(shared, llm_usage):
            model().invoke("fastest bird? [10 5]")
            ask("fastest fish? [20 7]")
            assert [call.source for call in llm_usage.calls] == ["langchain", "http"]
            assert llm_usage.total_tokens == 42

        @pytest.mark.llm_budget(max_tokens=15)
        def test_in_the_shared_one(shared):
            model().invoke("slowest bird? [10 5]")

        def test_a_fixture_that_comes_late(llm_usage, request):
            ask("first [30 3]")
            request.getfixturevalue("late")
            assert llm_usage.total_tokens == 33

        @pytest.fixture(scope="module")
        def late():
            model().invoke("late [4000 4]")
    """)

    for arguments in (["--llm-usage-record=once"], []):
        result = run(project, *arguments)
        result.assert_outcomes(passed=3)
        assert totals(result)["total"][:4] == ("7", "7,070", "-", "27")
        assert any(line.startswith("shared fixtures: 3 calls, 7,000 input, 7 output") for line in section(result))


def test_live_calls_are_measured_without_a_cassette(project, provider):
    """`off` records nothing and replays nothing, but what goes over the wire is read all the same."""
    project.makepyfile("""
        from asking import ask

        def test_it(llm_usage):
            ask("fastest bird? [812 64]")
            print("seen:", len(llm_usage.calls))
    """)

    result = run(project, "--llm-usage-record=live", "-s")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*seen: 1*"])
    assert not list(project.path.rglob("cassettes"))


def test_calls_of_a_test_that_does_not_ask_are_counted(project, provider):
    project.makepyfile("""
        from asking import ask

        def test_it():
            ask("fastest bird? [812 64]")
    """)

    result = run(project)

    result.assert_outcomes(passed=1)
    assert totals(result)["total"][:4] == ("1", "812", "-", "64")


@pytest.mark.parametrize(("track", "seen"), [("all", True), ("langchain", False), ("requested", False)])
def test_track_says_whose_calls_are_seen(project, provider, track, seen):
    project.makepyfile("""
        from asking import ask

        def test_it():
            ask("fastest bird? [812 64]")
            ask("fastest fish? [20 7]")
    """)

    result = run(project, "--max-tokens=10", "-o", f"llm_usage_track={track}")

    assert result.parseoutcomes() == ({"failed": 1} if seen else {"passed": 1})
    assert len(provider.asked) == (1 if seen else 2)


# -- frameworks on top of the SDKs -----------------------------------------------------------------------------

FRAMEWORKS = {
    "instructor": """
        from asking import client
        from pydantic import BaseModel
        import instructor

        class Bird(BaseModel):
            name: str

        def ask_framework(question):
            made = instructor.from_openai(client(), mode=instructor.Mode.JSON)
            made.chat.completions.create(
                model="gpt-4o-mini", response_model=None, messages=[{"role": "user", "content": question}]
            )
    """,
    "litellm": """
        from asking import URL
        import litellm

        def ask_framework(question):
            messages = [{"role": "user", "content": question}]
            litellm.completion("openai/gpt-4o-mini", messages, base_url=URL + "/v1", api_key="dummy-key")
    """,
    "pydantic_ai": """
        from asking import URL
        from pydantic_ai import Agent
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        def ask_framework(question):
            provider = OpenAIProvider(base_url=URL + "/v1", api_key="dummy-key")
            Agent(OpenAIChatModel("gpt-4o-mini", provider=provider)).run_sync(question)
    """,
    "agents": """
        from asking import URL
        import openai
        from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled

        def ask_framework(question):
            set_tracing_disabled(True)
            client = openai.AsyncOpenAI(base_url=URL + "/v1", api_key="dummy-key")
            model = OpenAIChatCompletionsModel(model="gpt-4o-mini", openai_client=client)
            Runner.run_sync(Agent(name="birds", model=model), question)
    """,
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_is_seen_through_its_sdk(framework, project, provider, monkeypatch):
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: make test-frameworks")
    # litellm fetches its prices when it is imported.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    project.makepyfile(framework=FRAMEWORKS[framework])
    project.makepyfile("""
        import pytest
        from framework import ask_framework

        # One process, because some of them take ten seconds to import.
        @pytest.mark.filterwarnings("ignore")
        @pytest.mark.parametrize(
            "kept", [pytest.param(kept, marks=pytest.mark.llm_cassette("bird", record=kept)) for kept in ("once", "none")]
        )
        def test_it(kept, llm_usage):
            ask_framework("fastest bird? [812 64]")
            assert [(call.source, call.usage.input_tokens, call.usage.output_tokens) for call in llm_usage.calls] == [
                ("http", 812, 64)
            ]
    """)

    run_apart(project).assert_outcomes(passed=2)
    assert len(provider.asked) == 1


# -- pytest-recording's cassettes, and what the audit says -----------------------------------------------------


OBSERVED = """
    import pytest
    from asking import URL, ask
    from langchain_openai import ChatOpenAI

    @pytest.fixture(scope="module")
    def vcr_config():
        return {"filter_headers": ["authorization"]}

    @pytest.mark.vcr
    def test_it(llm_usage):
        ChatOpenAI(model="gpt-4o-mini", base_url=URL + "/v1", api_key="dummy-key").invoke("fastest bird? [10 5]")
        ask("fastest fish? [20 7]")
        assert [(call.source, call.usage.total_tokens) for call in llm_usage.calls] == [
            ("langchain", 15), ("http", 27)
        ]

    @pytest.mark.vcr
    @pytest.mark.llm_budget(max_tokens=27)
    def test_without_the_fixture():
        ask("fastest fish? [20 7]")
"""


def test_a_cassette_of_pytest_recordings_is_observed_the_same_way(project, provider):
    project.makepyfile(test_it=OBSERVED)
    plugin = ("-p", "pytest_recording.plugin")

    recorded = run(project, *plugin, "--record-mode=once")
    recorded.assert_outcomes(passed=2)
    assert len(provider.asked) == 3
    assert sorted(file.name for file in project.path.rglob("*.yaml")) == [
        "test_it.yaml",
        "test_without_the_fixture.yaml",
    ]

    replayed = run(project, *plugin)
    replayed.assert_outcomes(passed=2)
    assert len(provider.asked) == 3
    assert totals(replayed) == totals(recorded)
    assert totals(replayed)["total"][:4] == ("3", "50", "-", "19")


#: An integration that loses the input.
AUDITED = """
    from asking import URL, client
    from langchain_openai import ChatOpenAI

    class Lossy(ChatOpenAI):
        def _create_chat_result(self, *args, **kwargs):
            result = super()._create_chat_result(*args, **kwargs)
            usage = result.generations[0].message.usage_metadata
            usage["input_tokens"] = usage["total_tokens"] = 0
            return result

    def test_it(llm_usage):
        Lossy(model="gpt-4o-mini", base_url=URL + "/v1", api_key="dummy-key").invoke("fastest bird? [1049 29]")
        assert llm_usage.total_tokens == 1078
        (found,) = llm_usage.discrepancies
        assert (found.langchain.input_tokens, found.wire.input_tokens) == (0, 1049)
"""


@pytest.mark.parametrize("audit", ["warn", "error", "off"])
def test_the_audit_warns_fails_or_says_nothing(project, provider, audit):
    project.makepyfile(test_it=AUDITED)

    result = run(project, "--llm-usage-record=once", "-o", f"llm_usage_audit={audit}")

    told = "input 0 against 1,049, total 0 against 1,078"
    result.assert_outcomes(**{"failed" if audit == "error" else "passed": 1})
    printed = " ".join(" ".join(section(result)).split())
    assert ("LangChain and the provider disagree on 1 call" in printed) == (audit != "off")
    assert (told in printed) == (audit != "off")
    if audit == "error":
        result.stdout.fnmatch_lines(
            [
                "LangChain and the provider's response disagree (llm_usage_audit = error)",
                "  1  gpt-4o-mini-2024-07-18  test_it.py:12 in test_it",
                f"     {told}",
            ]
        )


def test_an_audit_that_there_is_not_is_a_usage_error(project):
    result = run(project, "-o", "llm_usage_audit=spam")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: llm_usage_audit: 'spam' is not one of warn, error, off"])
