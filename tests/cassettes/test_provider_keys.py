"""Placeholders for providers' keys: put where nothing is set, and gone afterwards."""

import os

import pytest

from pytest_llm_usage.cassettes.network import HostPatterns
from pytest_llm_usage.cassettes.provider_keys import PROVIDER_KEYS, placeholder_keys, unset_key_in

NO_HOSTS = HostPatterns(())


@pytest.mark.parametrize("before", [{}, dict.fromkeys(PROVIDER_KEYS, ""), {"PATH": "/bin"}])
def test_every_key_that_is_missing_is_there_meanwhile(before):
    environment = dict(before)
    with placeholder_keys(NO_HOSTS, environment):
        assert all(environment[name] for name in PROVIDER_KEYS)
    assert environment == before


def test_what_is_set_is_never_touched():
    environment = {"OPENAI_API_KEY": "real", "GOOGLE_API_KEY": "real", "AWS_PROFILE": "dev"}
    before = dict(environment)
    with placeholder_keys(NO_HOSTS, environment):
        assert environment.items() >= before.items()
        assert not {"GEMINI_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & environment.keys()
    assert environment == before


def test_half_of_a_pair_is_left_alone():
    environment = {"AWS_ACCESS_KEY_ID": "real"}
    with placeholder_keys(NO_HOSTS, environment):
        assert "AWS_SECRET_ACCESS_KEY" not in environment


def test_what_a_test_sets_meanwhile_stays():
    environment = {}
    with placeholder_keys(NO_HOSTS, environment):
        environment["OPENAI_API_KEY"] = "of the test"
        del environment["GROQ_API_KEY"]
    assert environment == {"OPENAI_API_KEY": "of the test"}


def test_hosts_that_stay_live_get_none():
    environment = {}
    with placeholder_keys(HostPatterns(("api.openai.com", "*.mistral.ai")), environment):
        assert not {"OPENAI_API_KEY", "MISTRAL_API_KEY"} & environment.keys()
        assert "ANTHROPIC_API_KEY" in environment


@pytest.mark.parametrize(
    ("environment", "recorded", "gets_azure"),
    [
        ({}, [], True),
        ({"OPENAI_API_KEY": "real"}, [], False),
        ({}, ["https://api.openai.com/v1/chat/completions"], False),
        ({}, ["https://api.openai.com/v1/azure?q=azure"], False),
        ({"OPENAI_API_KEY": "real"}, ["https://api.openai.com/v1/x", "https://me.openai.azure.com/openai/v1/x"], True),
        ({}, ["http://127.0.0.1:9/openai/deployments/gpt/chat/completions"], True),
        ({}, ["https://gateway.test/v1/responses?a=1&api-version=2024-10-21"], True),
    ],
)
def test_azures_key_stands_beside_openais_only_where_azure_is_asked(environment, recorded, gets_azure):
    with placeholder_keys(NO_HOSTS, environment, recorded=recorded):
        assert ("AZURE_OPENAI_API_KEY" in environment) is gets_azure
        assert environment["OPENAI_API_KEY"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Pass `api_key` or set the `OPENAI_API_KEY` environment variable", "OPENAI_API_KEY"),
        ("set MY_OPENAI_API_KEY", None),
        ("set GROQ_API_KEY or OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("nothing", None),
    ],
)
def test_the_variable_that_a_message_names(text, name):
    assert unset_key_in(text, {"GROQ_API_KEY": "set"}) == name


def test_clients_start_with_them(monkeypatch):
    """As their SDKs read them today; the names are no guess."""
    import anthropic
    import openai

    for name in PROVIDER_KEYS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(openai.OpenAIError):
        openai.OpenAI()
    with placeholder_keys(NO_HOSTS):
        assert openai.OpenAI().api_key == os.environ["OPENAI_API_KEY"]
        assert anthropic.Anthropic().api_key == os.environ["ANTHROPIC_API_KEY"]
