"""`--llm-usage-html-bodies`: the recorded prompts and answers in the page, and what changed in a prompt."""

import gzip
import json
import re
import subprocess

import httpx  # noqa: F401 -- once here, rather than in every run inside this process
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llm_usage.cassettes import writer
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cli import main
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report import bodies as bodies_module
from pytest_llm_usage.report.bodies import MOST_CHARACTERS, Recordings, call_bodies
from pytest_llm_usage.report.data import run_data
from pytest_llm_usage.report.html import page
from pytest_llm_usage.report.page_data import PageExtras
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.usage import TokenUsage

URL = "https://api.openai.com/v1/chat/completions"
MODEL = "gpt-4o-2024-08-06"


def interaction(prompt="Which bird?", answer="The falcon.", response_id="chatcmpl-1", sent=10, body=None):
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
    response = {
        "id": response_id,
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": sent, "completion_tokens": 5, "total_tokens": sent + 5},
    }
    headers = {"content-type": ["application/json"]}
    return Interaction(
        Request("POST", URL, headers, json.dumps(request).encode() if body is None else body),
        Response(200, "OK", headers, json.dumps(response).encode()),
    )


def made(response_id="chatcmpl-1", sent=10, index=0):
    return Call(index=index, model=MODEL, usage=TokenUsage.from_counts(sent, 5), response_id=response_id)


def run(*calls, cassettes=("c.yaml",), digest="sha256:now", commit=None):
    data = run_data(
        Run(tests={("test_a", ""): TestRecord("test_a", Ledger(calls))}),
        environment={"commit": commit} if commit else {},
    )
    data["tests"]["test_a"]["cassettes"] = dict.fromkeys(cassettes, digest)
    return data


def recordings(*now, then=None):
    def exchanges(found):
        return [each.exchange() for each in found]

    return Recordings(now=lambda _: exchanges(now), then=lambda *_: None if then is None else exchanges(then))


def shown(data, *now, **more):
    return call_bodies(data, recordings(*now, **more))["test_a"]


def test_each_call_has_what_was_recorded_of_it():
    one, two = interaction("One?", "Uno."), interaction("Two?", "Due.", "chatcmpl-2")

    # In another order than they are in the cassette.
    first, second = shown(run(made("chatcmpl-2"), made("chatcmpl-1", index=1)), one, two)

    assert first["prompt"] == ["messages[0].content", "Two?"]
    assert json.loads("\n".join(first["answer"])) == json.loads(two.response.body)
    assert second["prompt"][-1] == "One?"
    assert first.keys() == {"prompt", "answer"}


def test_without_ids_the_same_usage_is_the_same_call():
    data = run(made(None, sent=20), made(None, sent=10, index=1), made(None, sent=99, index=2))
    found = shown(data, interaction("Ten?"), interaction("Twenty?", sent=20))

    assert [each.get("prompt", [""])[-1] for each in found] == ["Twenty?", "Ten?", ""]


def test_a_request_that_no_prompt_can_be_read_from_is_shown_as_it_is():
    (found,) = shown(run(made()), interaction(body=b"(redacted)"))

    assert found["prompt"] == ["(redacted)"]


def test_what_is_long_is_cut_with_a_note():
    (found,) = shown(run(made()), interaction("x" * MOST_CHARACTERS))

    assert sum(map(len, found["prompt"])) < MOST_CHARACTERS
    assert found["note"] == "prompt cut after 20,000 characters; all of it is in c.yaml"


@pytest.mark.parametrize("before", ["", "x" * (MOST_CHARACTERS - 60)])
def test_no_key_of_another_recorders_cassette_is_shown(before):
    key = "sk-proj-" + "aB3dE5gH7jK9mN1pQ" * 4
    was, now = interaction(f"{before} a {key}\n"), interaction(f"{before} b {key}\n", f"it is {key}.")
    base = run(made(), digest="sha256:then", commit="ab" * 20)

    (found,) = call_bodies(run(made()), recordings(now, then=[was]), base)["test_a"]

    assert "***" in str(found["answer"])
    assert " b ***" in str(found["prompt"])
    assert before or "+ b ***" in found["diff"]
    assert key[:10] not in str(found)


def test_a_page_holds_so_much_and_no_more(monkeypatch):
    monkeypatch.setattr(bodies_module, "MOST_OF_ALL", 10)
    first, second = shown(
        run(made(), made("chatcmpl-2", index=1)), interaction(), interaction(response_id="chatcmpl-2")
    )

    assert first["prompt"]
    assert second == {"note": "left out: the page holds no more than 10 characters; see c.yaml"}


def test_calls_without_a_recording_have_none():
    assert call_bodies(run(made()), recordings()) == {}


def test_the_diff_of_a_prompt_that_changed():
    base = run(made(), digest="sha256:then", commit="ab" * 20)
    now = recordings(interaction("Which bird?\nBriefly."), then=[interaction("Which fish?\nBriefly.")])
    (found,) = call_bodies(run(made()), now, base)["test_a"]

    assert found["diff"] == [
        "--- before",
        "+++ now",
        "@@ -1,3 +1,3 @@",
        " messages[0].content",
        "-Which fish?",
        "+Which bird?",
        " Briefly.",
    ]
    (same,) = call_bodies(run(made(), digest="sha256:then"), now, base)["test_a"]
    assert "diff" not in same
    (unknown,) = call_bodies(run(made()), recordings(interaction()), base)["test_a"]
    assert unknown["note"].startswith("the recording that the earlier run replayed is not in git's history")


@settings(max_examples=25)
@given(st.text(), st.text())
def test_nothing_that_was_recorded_is_read_as_markup(prompt, answer):
    hostile = "</script><script>alert(1)</script><!--"
    data = run(made())
    found = call_bodies(data, recordings(interaction(prompt + hostile, hostile + answer)))
    text = page(data, None, PageExtras(bodies=found))

    assert text.count("<script") == 2
    given_data = json.loads(re.search(r'id="run">(.*?)</script>', text, re.DOTALL)[1])
    assert hostile in "\n".join(given_data["tests"][0]["bodies"][0]["prompt"])


def test_without_bodies_the_page_is_the_same():
    assert page(run(made())) == page(run(made()), None, PageExtras())


# -- through pytest ------------------------------------------------------------------------------------------------

TEST = """
    import httpx

    def test_bird(llm_usage):
        messages = [{{"role": "user", "content": {prompt!r}}}]
        httpx.post("https://api.openai.com/v1/chat/completions", json={{"model": "gpt-4o", "messages": messages}})
        assert llm_usage.total_tokens
"""
CASSETTE = "cassettes/test_agent/test_bird.yaml"


@pytest.fixture
def project(pytester):
    """Writes a test with its recording."""

    def write(prompt):
        pytester.makepyfile(test_agent=TEST.format(prompt=prompt))
        path = pytester.path / CASSETTE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(writer.render([interaction(prompt)]))
        return pytester

    return write


def page_of(pytester):
    return (pytester.path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_the_option_brings_them_into_the_page(project, workers):
    pytester = project("Which bird is the fastest?")

    pytester.runpytest("--llm-usage-html=page.html", *workers).assert_outcomes(passed=1)
    assert "Which bird is the fastest?" not in page_of(pytester)

    pytester.runpytest("--llm-usage-html=page.html", "--llm-usage-html-bodies", *workers).assert_outcomes(passed=1)
    assert "Which bird is the fastest?" in page_of(pytester)
    assert "The falcon." in page_of(pytester)


def test_what_changed_comes_from_gits_history(project):
    pytester = project("Which bird is the fastest?")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *command], check=True, cwd=pytester.path)
    pytester.runpytest("--llm-usage-json=before.json").assert_outcomes(passed=1)

    project("Which fish is the fastest?")
    options = ("--llm-usage-compare=before.json", "--llm-usage-html=page.html", "--llm-usage-html-bodies")
    pytester.runpytest(*options).assert_outcomes(passed=1)

    assert '"-Which bird is the fastest?","+Which fish is the fastest?"' in page_of(pytester)


@pytest.fixture
def compared_project(project):
    """Two runs of one test, whose prompt was committed before each."""
    pytester = project("Which bird is the fastest?")
    subprocess.run(["git", "init", "-q"], check=True, cwd=pytester.path)
    for name, prompt in (("before", "Which bird is the fastest?"), ("after", "Which fish is the fastest?")):
        project(prompt)
        commit(pytester, name)
        pytester.runpytest(f"--llm-usage-json={name}.json", "--llm-usage-history=h.sqlite").assert_outcomes(passed=1)
    return pytester


def commit(pytester, text):
    for arguments in (["add", "."], ["-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "-qm", text]):
        subprocess.run(["git", *arguments], check=True, cwd=pytester.path)


COMPARE = ("compare", "before.json", "after.json", "--html=page.html")


def test_the_command_shows_what_the_runs_own_page_does(compared_project, project, capsys):
    assert main(COMPARE) == 0
    assert "Which fish" not in page_of(compared_project)
    assert "<h2>History</h2>" not in page_of(compared_project)

    # The working tree has gone on since: what the run replayed is read from git.
    project("Which mammal is the fastest?")
    commit(compared_project, "later")
    assert main((*COMPARE, "--html-bodies", "--history=h.sqlite")) == 0
    assert '"-Which bird is the fastest?","+Which fish is the fastest?"' in page_of(compared_project)
    assert "The falcon." in page_of(compared_project)
    assert "mammal" not in page_of(compared_project)
    assert "<h2>History</h2><p>The last 2 runs.</p>" in page_of(compared_project)
    assert capsys.readouterr().err == ""


def test_the_command_finds_the_cassettes_in_the_root_directory(compared_project, monkeypatch, capsys):
    elsewhere = compared_project.mkdir("elsewhere")
    monkeypatch.chdir(elsewhere)
    arguments = ("compare", "../before.json", "../after.json", "--html=page.html", "--html-bodies")
    assert main((*arguments, "--root=..")) == 0
    assert "Which fish" in (elsewhere / "page.html").read_text(encoding="utf-8")
    assert capsys.readouterr().err == ""

    assert main(arguments) == 0
    assert "Which fish" not in (elsewhere / "page.html").read_text(encoding="utf-8")
    assert capsys.readouterr().err == (
        f"pytest-llm-usage: --html-bodies: 1 cassette of the run cannot be shown: neither {elsewhere} nor git's history of it "
        f"has what was replayed: {CASSETTE}\n"
    )


@pytest.mark.parametrize("option", ["--html-bodies", "--history=h.sqlite"])
def test_the_command_without_a_page_refuses_what_is_only_there(compared_project, option, capsys):
    assert main(("compare", "before.json", "after.json", option)) == 2
    name = option.partition("=")[0]
    assert capsys.readouterr().err == (f"pytest-llm-usage: {name}: there is no page to show it on; add --html=PATH\n")


def test_a_compressed_cassette_is_read_from_gits_history(compared_project, project):
    path = compared_project.path / CASSETTE
    for name, prompt in (("before", "Which bird is the fastest?"), ("after", "Which fish is the fastest?")):
        project(prompt)
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()
        commit(compared_project, name)
        compared_project.runpytest(f"--llm-usage-json={name}.json").assert_outcomes(passed=1)

    assert main((*COMPARE, "--html-bodies")) == 0
    assert '"-Which bird is the fastest?","+Which fish is the fastest?"' in page_of(compared_project)


def test_without_a_page_the_option_is_an_error(pytester):
    result = pytester.runpytest("--llm-usage-html-bodies")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --llm-usage-html-bodies: there is no page to show them on; add --llm-usage-html=PATH"]
    )
