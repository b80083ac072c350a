"""Names of models and tests, notes and errors that try to lead whoever reads the log, the comment or the page."""

import re

HOSTILE = """
    import contextlib
    import pytest
    from fakes import FakeChatModel

    NAMES = [
        "::error file=a.py::gone", "##[error]gone", "evil\\u202egpj", "\\x1b[31mred\\x1b[0m\\x07", "two\\n::add-mask::lines",
        "@octocat https://evil.example www.evil.example", "<img src=x onerror=alert(1)>", "lone \\ud800", "\\x9b2Jx",
    ]

    @pytest.mark.parametrize("number", range(len(NAMES)))
    def test_named(number):
        FakeChatModel(model=NAMES[number]).invoke("one")
        with contextlib.suppress(RuntimeError):
            FakeChatModel(error=RuntimeError(NAMES[number])).invoke("two")

    @pytest.mark.parametrize("number", range(len(NAMES)))
    def test_failing(number, llm_usage):
        FakeChatModel(model=NAMES[number]).invoke("one")
        llm_usage.assert_within(max_tokens=1)
"""


def test_no_name_leads_whoever_reads_the_output(pytester, forked):
    pytester.makepyfile(HOSTILE)

    result = pytester.runpytest_subprocess(
        "-p", "no:xdist", "--llm-usage-report=calls", "--llm-usage-md=run.md", "--llm-usage-html=run.html",
        "--llm-usage-json=run.json", "--max-tokens=1", "-vv", "--tb=short",
    )  # fmt: skip

    assert result.ret == 1
    text = result.stdout.str()
    ours = text[text.index("= LLM usage =") :]
    assert "gone" in ours
    markdown, page = (pytester.path / "run.md").read_text(), (pytester.path / "run.html").read_text()
    for shown in (ours, markdown, page):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
    for shown in (text, markdown):
        assert not re.search(r"(?m)^\s*::(?:error|add-mask)", shown)
        assert not re.search(r"(?m)^(?!E? +\").*##\[", shown)
    for line in markdown.splitlines():
        outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        assert not re.search(r"@\w|://|www\.", outside_code), line
    assert "<img" not in page
    assert (pytester.path / "run.json").read_text()
