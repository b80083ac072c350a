"""Prices are derived here, never pinned: tokens × the published price per million, and sums of those."""

from __future__ import annotations

import dataclasses
import decimal
import importlib.util
import json
import math
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import corpus
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_llm_usage import wire
from pytest_llm_usage.billing import Billing, Part, PriceLine, Quote
from pytest_llm_usage.errors import ConfigurationError, PriceUnknownError
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import plain
from pytest_llm_usage.pricing import PriceBook, explain, sum_lines
from pytest_llm_usage.pricing.billing_rules import ALWAYS_SEARCH, CLOSED_MAKERS, STATED_PRECISION_USD
from pytest_llm_usage.pricing.surcharges import LONG_CONTEXTS
from pytest_llm_usage.usage import TokenUsage


def mtok(usd_per_million: str, tokens: int) -> Decimal:
    """Tokens at a price per million."""
    return Decimal(usd_per_million) * tokens / 1_000_000


def day(text: str) -> float:
    """Noon UTC of a day, in seconds since the epoch."""
    return datetime.fromisoformat(f"{text}T12:00:00+00:00").timestamp()


def call(provider: str | None, model: str, input_tokens: int = 0, output_tokens: int = 0, **fields: Any) -> Call:
    details = {key: fields.pop(key) for key in list(fields) if key.endswith("_details")}
    fields.setdefault("usage", TokenUsage.from_counts(input_tokens, output_tokens, **details))
    billing = {
        f.name: fields.pop(f.name) for f in dataclasses.fields(Billing) if f.name in fields and f.name != "usage"
    }
    billing = {"usage": fields.pop("billed_usage", None), "priced_at": day("2026-10-20")} | billing
    fields["billing"] = Billing(**billing)
    return Call(index=0, provider=provider, model=model, **fields)


def priced(quote: Quote) -> Quote:
    assert quote.cost_usd is not None, quote
    return quote


def unpriced(quote: Quote) -> Quote:
    assert quote.cost_usd is None, quote
    return quote


def cost(*args: Any, book: PriceBook | None = None, **fields: Any) -> Decimal:
    return priced((book or PriceBook()).quote(call(*args, **fields))).cost_usd


class TestExactness:
    @pytest.mark.parametrize(("tokens_in", "tokens_out", "usd"), [(11, 15, "0.00056"), (1_412, 171, "0.01925")])
    def test_the_guides_of_langchain(self, tokens_in, tokens_out, usd):
        found = cost("openai", "gpt-4-turbo-2024-04-09", tokens_in, tokens_out)
        assert found == Decimal(usd) == mtok("10", tokens_in) + mtok("30", tokens_out)
        assert str(found) == usd

    def test_a_cost_prints_in_full_and_short(self):
        one_token = cost("openai", "text-embedding-3-small", 1)
        assert plain(one_token) == "0.00000002"
        assert plain(cost("openai", "gpt-4-turbo", 1_000_000)) == "10"
        assert plain(cost("openai", "gpt-4-turbo", 10_000_000)) == "100"

    def test_the_users_own_decimal_context_changes_nothing(self):
        with decimal.localcontext(prec=2):
            narrow = PriceBook().quote(call("openai", "gpt-4o-mini", 123_457, 98_765))
        assert priced(narrow).cost_usd == mtok("0.15", 123_457) + mtok("0.6", 98_765)

    @given(tokens_in=st.integers(0, 10**12), tokens_out=st.integers(0, 10**12), read=st.integers(0, 10**12))
    def test_lines_add_up_to_the_cost(self, tokens_in, tokens_out, read):
        price = priced(
            PriceBook().quote(
                call("openai", "gpt-5.4", tokens_in + read, tokens_out, input_token_details={"cache_read": read})
            )
        )
        with decimal.localcontext(prec=100):
            assert sum((line.amount_usd for line in price.lines), Decimal(0)) == price.cost_usd
            for line in price.lines:
                assert line.amount_usd == line.quantity * line.usd_per_million / 1_000_000
        assert sum(line.quantity for line in price.lines) == tokens_in + read + tokens_out
        assert price.cost_usd.as_tuple().exponent <= 0

    @given(
        provider=st.none() | st.sampled_from(["openai", "amazon_bedrock", "", "azure", "\x00"]) | st.text(max_size=8),
        model=st.sampled_from(["gpt-4o", "claude-3-haiku", "ft:", "arn:", "models/", "/"]) | st.text(max_size=12),
        requested=st.none() | st.text(max_size=8),
        tier=st.none() | st.text(max_size=8) | st.sampled_from(["flex", "batch"]),
        at=st.none() | st.floats(),
        counts=st.lists(st.integers(-10, 10**30), min_size=9, max_size=9),
        stated=st.none() | st.decimals(),
    )
    @example("openai", "gpt-4o", None, None, math.nan, [1] * 9, None)
    @example("openai", "gpt-4o", None, None, math.inf, [1] * 9, Decimal("sNaN"))
    @example("deepseek", "deepseek-chat", None, None, -math.inf, [9, 9, 18, *[0] * 6], None)
    def test_odd_data_raises_nothing(self, provider, model, requested, tier, at, counts, stated):
        usage = TokenUsage(
            *counts[:3],
            {"cache_read": counts[3], "cache_creation": counts[4], "ephemeral_1h_input_tokens": counts[5]},
            {"reasoning": counts[6], "audio": counts[7], "?": counts[8]},
        )
        price = PriceBook().quote(
            call(
                provider,
                model,
                usage=usage,
                requested_model=requested,
                service_tier=tier,
                priced_at=at,
                stated_cost_usd=stated,
            )
        )
        if price.cost_usd is not None:
            assert price.cost_usd >= 0
            assert price.source
        else:
            assert price.reason

    def test_no_usage_has_no_price(self):
        assert unpriced(PriceBook().quote(call("openai", "gpt-4o", usage=None))).reason == "its usage is not known"


class TestFindingTheModel:
    @pytest.mark.parametrize(
        ("provider", "model", "sold_as"),
        [
            ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
            ("openai", "GPT-4o-mini", "openai/gpt-4o-mini"),
            ("openai", "gpt-5.2-20251211", "openai/gpt-5.2"),
            ("openai", "gpt-3.5-turbo-instruct:20230824-v2", "openai/gpt-3.5-turbo-instruct"),
            ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc123", "openai/ft:gpt-4o-mini"),
            ("openai", "ft:gpt-3.5-turbo-0125:acme:support:abc123", "openai/ft:gpt-3.5-turbo-"),
            ("azure", "gpt-4o-2024-08-06", "azure/gpt-4o"),
            ("azure", "gpt-35-turbo-0125", "azure/gpt-3.5-turbo"),
            ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
            ("anthropic", "claude-3-5-sonnet-latest", "anthropic/claude-3-5-sonnet"),
            ("anthropic", "claude-2.1", "anthropic/claude-2"),
            ("google_genai", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
            ("google_genai", "gemini-2.0-flash-001", "google/gemini-2.0-flash"),
            ("google_genai", "gemini-2.5-pro-preview-05-06", "google/gemini-2.5-pro"),
            (
                "google_vertexai",
                "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro",
                "google/gemini-2.5-pro",
            ),
            ("google_vertexai", "claude-3-5-sonnet-v2@20241022", "google/claude-3-5-sonnet"),
            ("mistralai", "mistral-large-latest", "mistral/mistral-large"),
            ("cohere", "command-r-08-2024", "cohere/command-r"),
            ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
            ("deepseek", "deepseek-chat", "deepseek/deepseek-chat"),
            ("xai", "grok-4", "x-ai/grok-4-0709"),
            ("perplexity", "sonar", "perplexity/sonar"),
            ("fireworks", "accounts/fireworks/models/gpt-oss-20b", "fireworks/gpt-oss-20b"),
            ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
            ("openrouter", "anthropic/claude-4.5-haiku-20251001", "openrouter/anthropic/claude-haiku-4.5"),
            ("amazon_bedrock", "amazon.nova-micro-v1:0", "aws/amazon.nova-micro-v1:0"),
            ("amazon_bedrock", "us.amazon.nova-micro-v1:0", "aws/amazon.nova-micro-v1:0"),
            ("bedrock", "eu.meta.llama3-2-1b-instruct-v1:0", "aws/meta.llama3-2-1b-instruct-v1:0"),
            (
                "amazon_bedrock",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ),
            (
                "anthropic-bedrock",
                "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "aws/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ),
            (
                "amazon_bedrock",
                "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0",
                "aws/regional.anthropic.claude-3-haiku-20240307-v1:0",
            ),
            ("litellm", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
            ("openai", "openai/gpt-4o", "openai/gpt-4o"),
            (None, "gpt-4o-mini", "openai/gpt-4o-mini"),
            (None, "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
            ("litellm", "mistralai/mistral-large-latest", "mistral/mistral-large"),
        ],
    )
    def test_names_as_calls_have_them(self, provider, model, sold_as):
        assert f", {sold_as}" in priced(PriceBook().quote(call(provider, model, 1))).source

    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            # genai-prices by itself prices each of these as the model whose name it begins (or ends) with.
            ("google_genai", "gemini-1.5-flash-8b"),
            ("google_genai", "gemini-2.5-pro-image"),
            ("anthropic", "claude-opus-4-10"),
            ("anthropic", "claude-2.5"),
            ("anthropic", "claude-haiku-4-50-20270101"),
            ("anthropic", "claude-3-haiku-instant"),
            ("azure", "our-o4-mini"),
            ("deepseek", "deepseek-v4-flash-max"),
            ("amazon_bedrock", "amazon.nova-pro-max-v1:0"),
            ("google_genai", "tuned-gemini-2.0-flash"),
        ],
    )
    def test_a_model_that_only_begins_alike_has_no_price(self, provider, model):
        from genai_prices import calc_price
        from genai_prices.types import Usage

        by_resemblance = calc_price(
            Usage(input_tokens=1_000),
            model,
            provider_id={"amazon_bedrock": "aws", "google_genai": "google"}.get(provider, provider),
        )
        assert by_resemblance.total_price > 0
        assert model in unpriced(PriceBook().quote(call(provider, model, 1_000))).reason

    @pytest.mark.parametrize(
        ("provider", "model"),
        [("openai", "gpt-4o-2031-01-01"), ("openai", "gpt-9"), ("openai", "gpt-4o-minibar"), ("groq", "gpt-4o")],
    )
    def test_a_model_the_book_does_not_know(self, provider, model):
        price = unpriced(PriceBook().quote(call(provider, model, 1)))
        assert re.fullmatch(rf"genai-prices [\d.]+ has no price for {model} by {provider}", price.reason)
        assert price.fix == f'"{model}" = {{ provider = "{provider}", input = ?, output = ? }}'

    def test_every_name_that_genai_prices_lists_is_found_as_that_model(self):
        from genai_prices import types
        from genai_prices.data import providers

        def names(rule: types.MatchLogic) -> Iterator[str]:
            match rule:
                case types.ClauseEquals(equals=text) | types.ClauseContains(contains=text):
                    yield text
                case types.ClauseStartsWith(starts_with=text) | types.ClauseEndsWith(ends_with=text):
                    yield text.rstrip("-@")
                case types.ClauseOr(or_=rules) | types.ClauseAnd(and_=rules):
                    for each in rules:
                        yield from names(each)

        wrong = []
        for provider in providers:
            for name in {name for model in provider.models for name in names(model.match)}:
                theirs = provider.find_model(name, all_providers=providers)
                moment = datetime(2026, 10, 20, 12, tzinfo=UTC)
                if provider.id in ("openai", "azure") and "gpt-oss" in name:
                    continue  # Listed under OpenAI at OpenRouter's price; see sellers.NOT_SOLD_BY_MAKER.
                if any(mark in name for mark in ALWAYS_SEARCH):
                    continue  # Their tokens are not all that they cost.
                if theirs is None or not {"input_mtok", "output_mtok"} <= vars(theirs.get_prices(moment)).keys():
                    continue
                ours = PriceBook().quote(call(provider.id, name, 1, 1))
                if ours.cost_usd is None or f", {provider.id}/{theirs.id}" not in ours.source:
                    wrong.append((provider.id, name, theirs.id, ours))
        assert not wrong

    def test_amounts_are_those_of_genai_prices(self):
        """Every model with prices for input and output, with cached tokens and long context, to the last digit."""
        from genai_prices.data import providers
        from genai_prices.types import Usage

        moment = datetime(2026, 10, 20, 12, tzinfo=UTC)
        compared = 0
        for provider in providers:
            for model in provider.models:
                keys = {key for key, value in vars(model.get_prices(moment)).items() if value is not None}
                if not {"input_mtok", "output_mtok"} <= keys or (provider.id, model.id[:7]) == ("openai", "gpt-oss"):
                    continue
                if any(mark in model.id for mark in ALWAYS_SEARCH):
                    continue
                is_stepped = any(row.seller == provider.id and re.match(row.models, model.id) for row in LONG_CONTEXTS)
                for tokens in (1_000, 200_000 if is_stepped else 300_000):
                    theirs = model.calc_price(
                        Usage(input_tokens=tokens, output_tokens=77, cache_read_tokens=tokens // 3),
                        provider,
                        genai_request_timestamp=moment,
                    )
                    ours = PriceBook().quote(
                        call(provider.id, model.id, tokens, 77, input_token_details={"cache_read": tokens // 3})
                    )
                    assert priced(ours).cost_usd == theirs.total_price, (provider.id, model.id)
                    compared += 1
        assert compared > 2_000

    def test_bedrock_bills_what_was_asked_for(self):
        asked = "global.anthropic.claude-sonnet-4-5-20250929-v1:0"
        answered = call("amazon_bedrock", "claude-sonnet-4-5-20250929", 1_000, requested_model=asked)
        assert priced(PriceBook().quote(answered)).cost_usd == mtok("3", 1_000)

    def test_an_inference_profile_of_ones_own_is_what_answered(self):
        profile = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abc123"
        asked = call("amazon_bedrock", "claude-3-haiku-20240307", 1_000, requested_model=profile)
        price = priced(PriceBook().quote(asked))
        assert price.cost_usd == mtok("0.25", 1_000)
        (note,) = price.notes
        assert note == (
            "application-inference-profile/abc123 is not in the price book: priced as claude-3-haiku-20240307"
        )

    def test_provisioned_throughput_is_paid_by_the_hour(self):
        capacity = "arn:aws:bedrock:us-east-1:000000000000:provisioned-model/abc123"
        asked = call("amazon_bedrock", "claude-3-haiku-20240307", 1_000, requested_model=capacity)
        assert PriceBook().quote(asked) == Quote(reason="provisioned throughput is paid by the hour, not by token")

    def test_the_model_asked_for_stands_in_for_an_unknown_answer_and_says_so(self):
        answered = call("openai", "davinci:2023-07-21-v2", 1_000, requested_model="davinci-002")
        price = priced(PriceBook().quote(answered))
        assert price.cost_usd == mtok("2", 1_000)
        assert price.notes == ("davinci:2023-07-21-v2 is not in the price book: priced as davinci-002",)

    def test_a_router_that_answers_with_another_model(self):
        answered = call("openrouter", "nobody/knows-this", 1_000, requested_model="openai/gpt-4o")
        assert "nobody/knows-this" in unpriced(PriceBook().quote(answered)).reason

    def test_what_a_gateway_sells_is_said(self):
        assert priced(PriceBook().quote(call("litellm", "openai/gpt-4o", 1))).notes == (
            "openai/gpt-4o on a gateway: priced as OpenAI's gpt-4o",
        )

    @pytest.mark.parametrize("provider", ["ollama", "localhost", "NVIDIA", "watsonx", "snowflake", "vllm"])
    def test_who_serves_open_models_sells_nothing_at_another_s_price(self, provider):
        reason = unpriced(PriceBook().quote(call(provider, "gpt-4o", 1))).reason
        assert re.fullmatch(rf"no price is known for gpt-4o: genai-prices [\d.]+ has no prices for {provider}", reason)

    @pytest.mark.parametrize("provider", ["mycompanychat", "azure_openai_lookalike", "", None])
    def test_a_word_that_nobody_knows_is_no_provider(self, provider):
        quote = priced(PriceBook().quote(call(provider, "gpt-4-turbo", 1_000)))
        assert quote.cost_usd == mtok("10", 1_000)
        assert quote.notes == ("provider not known: taken from the model's name (OpenAI)",)
        assert unpriced(PriceBook().quote(call(provider, "llama-3.3-70b", 1_000))).reason

    @pytest.mark.parametrize("provider", [None, "openai"])
    @pytest.mark.parametrize("model", ["gpt-oss-120b", "openai/gpt-oss-20b", "mistralai/mixtral-8x7b", "kimi-k2"])
    def test_open_weights_on_somebody_s_server_have_nobody_s_price(self, provider, model):
        assert PriceBook().quote(call(provider, model, 1)).cost_usd is None

    def test_nobody_names_the_model(self):
        price = unpriced(PriceBook().quote(call("openai", "unknown", 1)))
        assert price == Quote(reason="the response names no model")
        assert cost("openai", "unknown", 1_000_000, requested_model="gpt-4o") == mtok("2.5", 1_000_000)


class TestWhatIsPriced:
    def test_cached_and_cache_writing_input(self):
        price = priced(
            PriceBook().quote(
                call(
                    "anthropic",
                    "claude-sonnet-4-5",
                    10_000,
                    500,
                    input_token_details={
                        "cache_read": 4_000,
                        "cache_creation": 3_000,
                        "ephemeral_5m_input_tokens": 1_000,
                        "ephemeral_1h_input_tokens": 2_000,
                    },
                )
            )
        )
        assert [(line.kind, line.quantity, line.amount_usd) for line in price.lines] == [
            ("input", 3_000, mtok("3", 3_000)),
            ("cache_read", 4_000, mtok("0.3", 4_000)),
            ("cache_write", 1_000, mtok("3.75", 1_000)),
            ("cache_write_1h", 2_000, mtok("6", 2_000)),
            ("output", 500, mtok("15", 500)),
        ]

    def test_writes_that_last_an_hour_never_take_the_price_of_shorter_ones(self):
        details = {"cache_creation": 100, "ephemeral_1h_input_tokens": 100}
        sold = call("amazon_bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0", 100, input_token_details=details)
        price = unpriced(PriceBook().quote(sold))
        assert "has no price for cache writes that last an hour" in price.reason
        assert price.fix == (
            '"us.anthropic.claude-sonnet-4-20250514-v1:0" = { provider = "amazon_bedrock", '
            'same_as = "regional.anthropic.claude-sonnet-4-20250514-v1:0", cache_write_1h = ? }'
        )
        book = book_of(f"[models]\n{price.fix.replace('?', '6')}")
        assert priced(book.quote(sold)).cost_usd == mtok("6", 100)

    def test_reasoning_is_output(self):
        details = {"reasoning": 192}
        assert cost("openai", "o3", 100, 200, output_token_details=details) == mtok("2", 100) + mtok("8", 200)

    def test_audio(self):
        audio = call(
            "openai",
            "gpt-audio",
            100,
            50,
            input_token_details={"audio": 60},
            output_token_details={"audio": 40},
        )
        lines = {line.kind: line.quantity for line in priced(PriceBook().quote(audio)).lines}
        assert lines == {"input": 40, "input_audio": 60, "output": 10, "output_audio": 40}

    @pytest.mark.parametrize("side", ["input", "output"])
    def test_audio_without_a_price_of_its_own_is_not_text(self, side):
        heard = call("openai", "gpt-4o-audio-preview", 100, 50, **{f"{side}_token_details": {"audio": 40}})
        price = unpriced(PriceBook().quote(heard))
        assert price.reason.endswith(f"openai/gpt-4o-audio-preview has no price for {side}_audio tokens")
        assert price.fix.endswith(f'{{ provider = "openai", same_as = "gpt-4o-audio-preview", {side}_audio = ? }}')
        assert cost("google_genai", "gemini-3-pro-preview", 100, 50, **{f"{side}_token_details": {"audio": 40}}) == (
            mtok("2", 100) + mtok("12", 50)
        )

    def test_tokens_that_may_be_cached_and_audio_at_once(self):
        details = {"audio": 60, "cache_read": 50}
        price = unpriced(PriceBook().quote(call("google_genai", "gemini-2.5-flash", 100, input_token_details=details)))
        assert price == Quote(
            reason="cache_read and input_audio are priced separately, and the usage does not say how many tokens are both"
        )

    def test_tokens_that_are_cached_and_audio_at_once(self):
        usage = TokenUsage.from_counts(1_518, 0, input_token_details={"audio": 160, "cache_read": 1_122})
        both = {"cache_read_text": 31, "cache_read_audio": 118, "cache_read_video": 973}
        bill = replace(usage, input_token_details={**usage.input_token_details, **both})
        heard = call("google_genai", "gemini-2.5-flash", usage=usage, billed_usage=bill)
        assert priced(PriceBook().quote(heard)).cost_usd == (
            mtok("0.3", 1_518 - 1_122 - 42) + mtok("1", 42) + mtok("0.03", 1_004) + mtok("0.1", 118)
        )
        contradictory = replace(bill, input_token_details={**bill.input_token_details, "cache_read_audio": 161})
        assert unpriced(
            PriceBook().quote(replace(heard, billing=replace(heard.billing, usage=contradictory)))
        ).reason == ("contradictory usage: cache_read_audio (161) exceed input_audio (160)")

    def test_all_of_one_kind_may_be_cached_and_nothing_of_another(self):
        book = PriceBook.from_sources(
            {"models": {"m": {"input": 2, "cache_read": 1, "input_audio": 5, "input_image": 4, "cache_read_audio": 3}}}
        )
        seen = {"audio": 10, "image": 20, "cache_read": 10, "cache_read_audio": 10}
        bill = TokenUsage.from_counts(100, 0, input_token_details=seen)
        quote = priced(book.quote(call("x", "m", 100, billed_usage=bill)))
        assert {line.kind: line.quantity for line in quote.lines} == {
            "input": 70,
            "cache_read_audio": 10,
            "input_image": 20,
        }

    def test_images(self):
        drawn = call("google_genai", "gemini-2.5-flash-image", 10, 1_300, output_token_details={"image": 1_290})
        assert priced(PriceBook().quote(drawn)).cost_usd == mtok("0.3", 10) + mtok("2.5", 10) + mtok("30", 1_290)

    @pytest.mark.parametrize(("tokens", "usd_in", "usd_out"), [(272_000, "2.5", "15"), (272_001, "5", "22.5")])
    def test_long_context_changes_the_price_of_all_tokens(self, tokens, usd_in, usd_out):
        assert cost("openai", "gpt-5.4", tokens, 10) == mtok(usd_in, tokens) + mtok(usd_out, 10)

    @pytest.mark.parametrize(
        ("provider", "model", "tier", "usd_in", "usd_out"),
        [
            ("openai", "gpt-5", None, "1.25", "10"),
            ("openai", "gpt-5", "default", "1.25", "10"),
            ("openai", "gpt-5", "flex", "0.625", "5"),
            ("openai", "gpt-5", "priority", "2.5", "20"),
            ("openai", "gpt-5", "batch", "0.625", "5"),
            ("anthropic", "claude-sonnet-4-5", "standard", "3", "15"),
            ("anthropic", "claude-sonnet-4-5", "batch", "1.5", "7.5"),
            ("google_vertexai", "gemini-2.5-flash", "ON_DEMAND", "0.3", "2.5"),
            ("groq", "llama-3.3-70b-versatile", "on_demand", "0.59", "0.79"),
        ],
    )
    def test_service_tiers(self, provider, model, tier, usd_in, usd_out):
        expected = mtok(usd_in, 1_000) + mtok(usd_out, 100)
        assert cost(provider, model, 1_000, 100, service_tier=tier) == expected

    def test_a_tier_before_the_book_began_to_record_it(self):
        early = call("openai", "gpt-5", 1_000, service_tier="flex", priced_at=day("2025-11-23"))
        price = priced(PriceBook().quote(early))
        assert price.cost_usd == mtok("0.625", 1_000)
        assert price.notes == ("the price book has the flex price since 2026-10-12, and the list price did not change",)

    def test_a_tier_before_the_book_began_to_record_it_while_the_list_price_was_another(self):
        early = call("openai", "o3", 1_000, service_tier="flex", priced_at=day("2025-06-01"))
        assert unpriced(PriceBook().quote(early)).reason.endswith("openai/o3 has no price for the service tier flex")

    @pytest.mark.parametrize(
        ("provider", "model", "tier"),
        [
            ("google_vertexai", "gemini-3-flash-preview", "ON_DEMAND_FLEX"),
            ("azure", "gpt-5", "priority"),
            ("openai", "gpt-4-turbo", "flex"),
            ("anthropic", "claude-sonnet-4-5", "priority"),
        ],
    )
    def test_a_tier_without_a_price_is_not_the_standard_price(self, provider, model, tier):
        price = unpriced(PriceBook().quote(call(provider, model, 1_000, service_tier=tier)))
        spelt = tier.lower().removeprefix("on_demand_")
        assert price.reason.endswith(f"has no price for the service tier {spelt}")
        assert price.fix == f'"{model}" = {{ provider = "{provider}", tier = "{spelt}", input = ?, output = ? }}'

    def test_fees_per_request_and_per_search(self):
        assert cost("perplexity", "sonar", 1_000, 1_000) == mtok("1", 2_000) + Decimal("0.012")
        searched = cost("anthropic", "claude-sonnet-4-5", 1_000, items={"web_search": 2})
        assert searched == mtok("3", 1_000) + 2 * Decimal("0.01")

    def test_work_without_a_fee_in_the_book_is_not_free(self):
        opened = call("openai", "o4-mini", 762, 242, items={"code_interpreter": 1})
        price = unpriced(PriceBook().quote(opened))
        assert price.reason.endswith("openai/o4-mini has no price for code_interpreter")
        assert price.fix == '"o4-mini" = { provider = "openai", same_as = "o4-mini", code_interpreter = ? }'
        book = book_of(f"[models]\n{price.fix.replace('?', '0.03')}")
        assert priced(book.quote(opened)).cost_usd == mtok("1.1", 762) + mtok("4.4", 242) + Decimal("0.03")

    def test_what_is_billed_by_the_hour_is_said_and_not_in_the_cost(self):
        ran = call("anthropic", "claude-sonnet-4-5", 1_000, items={"code_execution": 1})
        price = priced(PriceBook().quote(ran))
        assert price.cost_usd == mtok("3", 1_000)
        (note,) = price.notes
        assert note.startswith("code_execution: its container is billed by the hour")

    @pytest.mark.parametrize(
        ("model", "fees"), [("gemini-2.5-flash", Decimal("0.035")), ("gemini-3-flash-preview", 3 * Decimal("0.014"))]
    )
    def test_google_bills_a_prompt_of_older_models_and_each_search_of_newer_ones(self, model, fees):
        price = priced(PriceBook().quote(call("google_genai", model, items={"web_search": 3})))
        assert price.cost_usd == fees
        assert price.notes == (
            "includes searches that google_genai may not bill (the first of a day or month): this is the most it can cost",
        )

    def test_a_model_that_always_searches_does_not_say_so(self):
        assert cost("openai", "gpt-4o-mini-search-preview", 1_000) == mtok("0.15", 1_000) + Decimal("0.025")
        assert cost("openai", "gpt-4o-search-preview-2025-03-11", 1_000) == mtok("2.5", 1_000) + Decimal("0.025")
        assert cost("openai", "gpt-5-search-api", 1_000) == mtok("1.25", 1_000) + Decimal("0.01")

    def test_the_largest_fee_where_it_depends_on_the_search(self):
        (note,) = priced(PriceBook().quote(call("perplexity", "sonar", 1))).notes
        assert note == "the fee per request is that of the largest search: this is the most it can cost"

    def test_what_is_not_billed_by_token_at_all(self):
        ranked = call("cohere", "rerank-v3.5", items={"search_unit": 2})
        price = unpriced(PriceBook().quote(ranked))
        assert price.fix == '"rerank-v3.5" = { provider = "cohere", search_unit = ? }'
        book = book_of(f"[models]\n{price.fix.replace('?', '0.002')}")
        assert priced(book.quote(ranked)).cost_usd == 2 * Decimal("0.002")

    def test_parts_are_priced_each_as_their_own_model(self):
        part = Part("advisor_message", "claude-opus-4-8", TokenUsage.from_counts(2_518, 22))
        price = priced(PriceBook().quote(call("anthropic", "claude-sonnet-4-5", 2_390, 121, parts=(part,))))
        alone = [
            priced(PriceBook().quote(call("anthropic", "claude-sonnet-4-5", 2_390, 121))),
            priced(PriceBook().quote(call("anthropic", "claude-opus-4-8", 2_518, 22))),
        ]
        assert price.cost_usd == sum(each.cost_usd for each in alone)
        assert price.lines == alone[0].lines + alone[1].lines
        assert price.source == f"{alone[0].source}; {alone[1].source}"

    def test_a_part_without_price_leaves_the_call_without(self):
        part = Part("advisor_message", "claude-next", TokenUsage.from_counts(1, 1))
        price = unpriced(PriceBook().quote(call("anthropic", "claude-sonnet-4-5", 1, parts=(part,))))
        assert "claude-next" in price.reason
        assert price.fix.startswith('"claude-next" = ')

    def test_reasoning_that_only_the_total_counts(self):
        usage = TokenUsage.from_counts(100, 20, total_tokens=150)
        price = priced(PriceBook().quote(call("google_genai", "gemini-2.5-flash", usage=usage)))
        assert price.cost_usd == mtok("0.3", 100) + mtok("2.5", 50)
        assert price.notes == ("30 tokens that only the total counts (reasoning) are priced as output",)

    @pytest.mark.parametrize(
        ("usage", "reason"),
        [
            (
                TokenUsage.from_counts(100, 20, total_tokens=150),
                "contradictory usage: total_tokens (150) is 30 more than input_tokens (100) and output_tokens (20)",
            ),
            (
                TokenUsage.from_counts(100, 20, total_tokens=121),
                "contradictory usage: total_tokens (121) is 1 more than input_tokens (100) and output_tokens (20)",
            ),
            (
                TokenUsage.from_counts(100, 0, input_token_details={"cache_read": 120}),
                "contradictory usage: cache_read (120) exceed input_tokens (100)",
            ),
            (
                TokenUsage.from_counts(
                    100, 0, input_token_details={"cache_creation": 1, "ephemeral_5m_input_tokens": 2}
                ),
                "contradictory usage: cache writes by lifetime (2) exceed cache_creation (1)",
            ),
            (
                TokenUsage.from_counts(100, 0, input_token_details={"cache_read": -1}),
                "contradictory usage: cache_read (-1) is negative",
            ),
            (TokenUsage.from_counts(-5, 5), "contradictory usage: input_tokens (-5) is negative"),
        ],
    )
    def test_contradictions_name_both_numbers(self, usage, reason):
        assert PriceBook().quote(call("openai", "gpt-4o", usage=usage)) == Quote(reason=reason)

    def test_parts_that_exceed_the_whole_are_all_named(self):
        cached = {"cache_read": 80, "cache_creation": 40}
        quote = PriceBook().quote(call("anthropic", "claude-sonnet-4-5", 100, input_token_details=cached))
        assert quote.reason == "contradictory usage: cache_read (80) + cache_write (40) exceed input_tokens (100)"

    def test_what_is_billed_where_that_is_less_than_what_is_counted(self):
        counted = call("cohere", "command-a", 555, 225)
        assert priced(PriceBook().quote(counted)).notes == (
            "cohere bills fewer tokens than it counts, and does not report how many: this is the most it can cost",
        )
        price = priced(PriceBook().quote(replace(counted, billing=Billing(usage=TokenUsage.from_counts(26, 222)))))
        assert price.cost_usd == mtok("2.5", 26) + mtok("10", 222)
        assert price.notes == ()

    def test_a_discount_the_book_does_not_have_is_said(self):
        read = {"cache_read": 40}
        price = priced(PriceBook().quote(call("mistralai", "mistral-tiny", 100, input_token_details=read)))
        assert price.cost_usd == mtok("0.25", 100)
        (note,) = price.notes
        assert price.at_most
        assert note.endswith(
            "mistral/mistral-tiny has no price for cache_read: priced as input, which is the most it can cost"
        )

    def test_a_model_that_is_not_sold_by_token(self):
        price = unpriced(PriceBook().quote(call("groq", "canopylabs/orpheus-v1-english", 10)))
        assert price.reason.endswith("groq/canopylabs/orpheus-v1-english has no price per token")

    def test_output_of_a_model_that_has_a_price_for_input_only(self):
        price = unpriced(PriceBook().quote(call("openai", "text-embedding-3-small", 10, 1)))
        assert price.reason.endswith("openai/text-embedding-3-small has no price for output tokens")


class TestStatedCost:
    def test_what_the_provider_states_is_the_cost_and_the_book_is_the_check(self):
        stated = Decimal("0.00000537000")
        book = PriceBook().name
        price = priced(PriceBook().quote(call("openrouter", "openai/gpt-4o", 1_000, stated_cost_usd=stated)))
        assert price == Quote(
            cost_usd=stated,
            source="stated by openrouter",
            book_usd=mtok("2.5", 1_000),
            notes=(
                f"0.00000537 USD stated by openrouter; {book}, openrouter/openai/gpt-4o, since 2026-10-19, has 0.0025 for it",
            ),
        )
        assert price.lines == (PriceLine("stated", 1, None, stated, "openai/gpt-4o"),)
        assert plain(price.cost_usd) == "0.00000537"

    def test_agreement_within_what_a_float_holds_is_nothing_to_say(self):
        asked = call("openrouter", "openai/gpt-4o", 1_000, stated_cost_usd=Decimal("0.002500001"))
        assert priced(PriceBook().quote(asked)).notes == ()

    def test_a_stated_cost_needs_no_price(self):
        price = priced(PriceBook().quote(call("openrouter", "nobody/knows", 9, stated_cost_usd=Decimal("0.5"))))
        assert (price.cost_usd, price.book_usd) == (Decimal("0.5"), None)

    def test_stated_as_free(self):
        assert cost("openrouter", "nobody/knows:free", 9, stated_cost_usd=Decimal(0)) == 0

    @pytest.mark.parametrize("stated", ["0E-10", "NaN", "Infinity", "-1"])
    def test_a_field_that_is_there_and_not_filled_in(self, stated):
        found = cost("azure", "gpt-4o", 1_000, stated_cost_usd=Decimal(stated))
        assert found == mtok("2.5", 1_000)


class TestWhen:
    @pytest.mark.parametrize(
        ("at", "usd", "source"),
        [(day("2025-06-09"), "10", "openai/o3"), (day("2025-06-10"), "2", "openai/o3, since 2025-06-10")],
    )
    def test_the_price_is_that_of_the_day(self, at, usd, source):
        price = priced(PriceBook().quote(call("openai", "o3", 1_000, priced_at=at)))
        assert price.cost_usd == mtok(usd, 1_000)
        assert price.source.endswith(f", {source}")

    def test_hours_of_the_day(self):
        def at(text: str, model: str = "deepseek-v4-flash") -> Quote:
            moment = datetime.fromisoformat(f"{text}+00:00").timestamp()
            return priced(PriceBook().quote(call("deepseek", model, 1_000, priced_at=moment)))

        assert at("2026-09-21T00:59:59").cost_usd == mtok("0.15", 1_000)
        assert at("2026-09-21T01:00:00").cost_usd == mtok("0.3", 1_000)
        assert at("2026-09-21T01:00:00").source.endswith(", 01:00 to 04:00 UTC")
        # Before the list price that they belong to, there were no such hours.
        assert at("2026-08-01T01:00:00").cost_usd == mtok("0.14", 1_000)
        # Weekends are cheap all day, since the second of these days.
        assert at("2026-08-22T01:00:00", "deepseek-v4-pro").cost_usd == mtok("1.32", 1_000)
        assert at("2026-08-23T01:00:00", "deepseek-v4-pro").cost_usd == mtok("0.66", 1_000)
        assert at("2026-09-26T01:00:00").cost_usd == at("2026-09-27T09:00:00").cost_usd == mtok("0.15", 1_000)

    def test_before_a_model_had_a_price(self, monkeypatch):
        from genai_prices import types

        from pytest_llm_usage.pricing import genai_book

        dated = types.ConditionalPrice(
            types.StartDateConstraint(datetime(2026, 3, 1, tzinfo=UTC).date()),
            prices=types.ModelPrice(input_mtok=Decimal(1)),
        )
        model = types.ModelInfo("m", types.ClauseEquals("m"), prices=[dated])
        genai_book.shipped_providers.cache_clear()
        genai_book.look_up.cache_clear()
        try:
            with monkeypatch.context() as patched:
                patched.setattr("genai_prices.data.providers", [types.Provider("maker", "Maker", "", models=[model])])
                assert cost("maker", "m", 1_000, priced_at=day("2026-03-01")) == mtok("1", 1_000)
                early = unpriced(PriceBook().quote(call("maker", "m", 1_000, priced_at=day("2026-02-28"))))
                assert early.reason.endswith("maker/m has no price for 2026-02-28")
        finally:
            genai_book.shipped_providers.cache_clear()
            genai_book.look_up.cache_clear()

    def test_without_a_date_of_its_own_a_call_is_priced_when_it_started_else_now(self):
        def started(at: float) -> Decimal:
            return cost("openai", "o3", 1_000, priced_at=None, started_at=at)

        assert started(day("2025-06-01")) == mtok("10", 1_000)
        assert started(0.0) == mtok("2", 1_000)

    def test_the_newest_price_for_a_recording_that_does_not_say_when(self):
        price = priced(PriceBook().quote(call("openai", "o3", 1_000, priced_at=math.inf)))
        assert price.cost_usd == mtok("2", 1_000)
        assert price.notes == ("the recording does not say when it was made: priced at the newest price in the book",)

    @pytest.mark.parametrize("clock", ["2024-01-01", "2030-01-01"])
    def test_the_clock_of_the_machine_changes_nothing(self, clock, monkeypatch):
        monkeypatch.setattr("time.time", lambda: day(clock))
        assert cost("openai", "o3", 1_000, priced_at=day("2025-06-01")) == mtok("10", 1_000)

    def test_prices_updated_by_the_application_change_nothing(self):
        from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

        set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=True))
        try:
            assert cost("openai", "o3", 1_000) == mtok("2", 1_000)
        finally:
            set_custom_snapshot(None)


def book_of(text: str) -> PriceBook:
    """A book of one price file, which is `prices.toml` in the current directory."""
    Path("prices.toml").write_text(text, encoding="utf-8", newline="")
    return PriceBook.from_toml("prices.toml")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("prices"))


class TestPriceFile:
    def test_a_model_of_ones_own(self):
        book = book_of('# ours\n\n[models]\n"my-model" = { input = 0.5, output = 1.5, cache_read = "$0.05" }\n')
        price = priced(book.quote(call("ollama", "my-model", 1_000, 200, input_token_details={"cache_read": 400})))
        assert price.cost_usd == mtok("0.5", 600) + mtok("0.05", 400) + mtok("1.5", 200)
        assert price.source == "prices.toml:4"

    def test_ones_own_price_comes_before_the_book(self):
        book = book_of('[models]\n"gpt-4o*" = { provider = "openai", input = 1, output = 2 }')
        assert cost("openai", "gpt-4o-2024-08-06", 1_000, book=book) == mtok("1", 1_000)
        assert cost("azure", "gpt-4o-2024-08-06", 1_000, book=book) == mtok("2.5", 1_000)
        assert cost("openai", "o3", 1_000, book=book) == mtok("2", 1_000)

    def test_an_exact_name_wins_over_a_pattern_and_the_earlier_line_over_the_later(self):
        book = book_of('[models]\n"m*" = { input = 1 }\n"m-1*" = { input = 2 }\n"m-1" = { input = 3 }')
        assert cost("x", "m-1", 1_000, book=book) == mtok("3", 1_000)
        assert cost("x", "m-12", 1_000, book=book) == mtok("1", 1_000)

    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            ("amazon_bedrock", "us.anthropic.claude-x-v1:0"),
            ("openai", "CLAUDE-X"),
            ("google_vertexai", "publishers/anthropic/models/claude-x"),
        ],
    )
    def test_a_pattern_is_held_against_every_spelling(self, provider, model):
        book = book_of('[models]\n"claude-x" = { input = 1 }\n"anthropic.claude-x*" = { input = 1 }')
        assert cost(provider, model, 1_000, book=book) == mtok("1", 1_000)

    def test_an_azure_deployment(self):
        book = book_of('[models]\n"prod-*" = { provider = "azure", same_as = "gpt-4o-2024-08-06" }')
        price = priced(book.quote(call("azure", "prod-eu", 1_000, 10)))
        assert price.cost_usd == mtok("2.5", 1_000) + mtok("10", 10)
        assert re.fullmatch(r"prices\.toml:2 as genai-prices [\d.]+, azure/gpt-4o", price.source)

    def test_the_same_as_another_provider_s_model(self):
        book = book_of('[models]\n"*" = { provider = "portkey", same_as = "openai/gpt-4o", output = 12 }')
        assert cost("portkey", "anything", 1_000, 10, book=book) == mtok("2.5", 1_000) + mtok("12", 10)

    def test_the_same_as_another_provider_s_model_at_ones_own_price(self):
        book = book_of(
            '[models]\n"gpt-4o" = { provider = "openai", input = 7 }\n'
            '"*" = { provider = "portkey", same_as = "OpenAI/gpt-4o" }'
        )
        price = priced(book.quote(call("portkey", "anything", 1_000)))
        assert (price.cost_usd, price.source, price.notes) == (
            mtok("7", 1_000),
            "prices.toml:3 as prices.toml:2",
            (),
        )

    def test_the_same_as_a_model_of_ones_own(self):
        book = book_of('[models]\n"a" = { input = 1 }\n"b" = { same_as = "a" }')
        assert cost("ollama", "b", 1_000, book=book) == mtok("1", 1_000)

    def test_the_same_as_nothing(self):
        book = book_of('[models]\n"a" = { same_as = "b" }\n"b" = { same_as = "a" }')
        price = unpriced(book.quote(call("openai", "a", 1)))
        assert price.reason.startswith("prices.toml:2: same_as = 'b': genai-prices")

    def test_the_same_as_another_provider_s_model_that_has_no_price_for_the_tier(self):
        book = book_of('[models]\n"*" = { provider = "portkey", same_as = "openai/gpt-4o" }')
        price = unpriced(book.quote(call("portkey", "anything", 1, service_tier="scale")))
        assert price.reason.startswith("prices.toml:2: same_as = 'openai/gpt-4o': genai-prices")
        assert price.reason.endswith("openai/gpt-4o has no price for the service tier scale")

    def test_local_servers_are_free_where_the_user_says_so(self):
        assert PriceBook().quote(call("ollama", "llama3", 10, 10)).cost_usd is None
        book = book_of('[models]\n"llama3*" = { provider = "ollama", free = true }')
        price = priced(book.quote(call("ollama", "llama3:8b", 10, 10, service_tier="flex")))
        assert (price.cost_usd, price.source) == (0, "prices.toml:2")
        assert book.quote(call("groq", "llama3:8b", 10, 10)).cost_usd is None

    def test_lifetimes_of_cache_writes(self):
        book = book_of('[models]\n"m" = { input = 1, cache_write = 2, cache_write_5m = 3, cache_write_1h = 4 }')
        written = {"cache_creation": 60, "ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30}
        expected = mtok("1", 40) + mtok("2", 10) + mtok("3", 20) + mtok("4", 30)
        assert cost("x", "m", 100, book=book, input_token_details=written) == expected

    def test_validity(self):
        book = book_of(
            '[models]\n"m" = [\n  { until = 2026-01-01, input = 2 },\n  { from = 2026-01-01, input = 1 },\n]'
        )
        assert cost("x", "m", 1_000, book=book, priced_at=day("2025-12-31")) == mtok("2", 1_000)
        assert cost("x", "m", 1_000, book=book, priced_at=day("2026-01-01")) == mtok("1", 1_000)

    def test_tiers(self):
        book = book_of('[models]\n"m" = [{ input = 2 }, { tier = "flex", input = 1 }]')
        assert cost("x", "m", 1_000, book=book) == mtok("2", 1_000)
        assert cost("x", "m", 1_000, book=book, service_tier="flex") == mtok("1", 1_000)
        assert book.quote(call("x", "m", 1, service_tier="priority")).cost_usd is None

    def test_regions(self):
        book = book_of(
            '[models]\n"m" = [{ input = 2 }, { region = "EU", input = 3 }, { region = "europe-*", input = 4 }]'
        )
        assert cost("x", "m", 1_000, book=book) == mtok("2", 1_000)
        assert cost("x", "m", 1_000, book=book, region="us") == mtok("2", 1_000)
        assert cost("x", "m", 1_000, book=book, region="eu") == mtok("3", 1_000)
        assert cost("x", "m", 1_000, book=book, region="europe-west1") == mtok("4", 1_000)

    def test_a_region_may_be_the_geography_in_the_name_of_a_profile(self):
        book = book_of('[models]\n"*nova-lite*" = [{ region = "eu", input = 3 }, { region = "eu-west-1", input = 4 }]')
        name = "eu.amazon.nova-lite-v1:0"
        assert cost("amazon_bedrock", name, 1_000, book=book, region="eu-central-1") == mtok("3", 1_000)
        plain_name = "amazon.nova-lite-v1:0"
        assert cost("amazon_bedrock", plain_name, 1_000, book=book, region="eu-west-1") == mtok("4", 1_000)

    def test_the_price_of_a_region_settles_what_was_not_known_of_it(self):
        sold = call("google", "gemini-3-flash-preview", 1_000, region="europe-west4")
        (note,) = PriceBook().quote(sold).notes
        assert note == "price in the region europe-west4 not known: list price"
        book = book_of('[models]\n"gemini-3-flash*" = { provider = "google", region = "europe-west4", input = 0.55 }')
        quote = priced(book.quote(sold))
        assert (quote.cost_usd, quote.notes, quote.source) == (mtok("0.55", 1_000), (), "prices.toml:2")

    def test_speeds(self):
        book = book_of('[models]\n"m" = [{ input = 2 }, { speed = "fast", input = 9 }]')
        assert cost("x", "m", 1_000, book=book) == mtok("2", 1_000)
        assert cost("x", "m", 1_000, book=book, modifiers={"speed": "standard"}) == mtok("2", 1_000)
        assert cost("x", "m", 1_000, book=book, modifiers={"speed": "fast"}) == mtok("9", 1_000)

    def test_a_price_without_a_speed_is_not_that_of_the_fast_one(self):
        book = book_of('[models]\n"m" = { input = 2 }')
        quote = unpriced(book.quote(call("x", "m", 1_000, modifiers={"speed": "fast"})))
        assert quote.fix == '"m" = { provider = "x", speed = "fast", input = ?, output = ? }'
        quote = unpriced(PriceBook().quote(call("anthropic", "claude-sonnet-4-6", 1_000, modifiers={"speed": "fast"})))
        assert quote.fix == '"claude-sonnet-4-6" = { provider = "anthropic", speed = "fast", input = ?, output = ? }'

    def test_latency(self):
        book = book_of('[models]\n"m" = [{ input = 2 }, { latency = "optimized", input = 3 }]')
        assert cost("x", "m", 1_000, book=book) == mtok("2", 1_000)
        assert cost("x", "m", 1_000, book=book, modifiers={"latency": "optimized"}) == mtok("3", 1_000)
        alone = book_of('[models]\n"m" = { input = 2 }')
        assert cost("x", "m", 1_000, book=alone, modifiers={"latency": "optimized"}) == mtok("2", 1_000)

    def test_long_context_and_fees(self):
        book = book_of(
            '[models."m"]\ninput = 1\noutput = 2\nrequest = 0.01\nweb_search = 0.02\n'
            "above = { input_tokens = 1_000, input = 3 }"
        )
        assert cost("x", "m", 1_000, 1, book=book) == mtok("1", 1_000) + mtok("2", 1) + Decimal("0.01")
        assert cost("x", "m", 1_001, 0, book=book) == mtok("3", 1_001) + Decimal("0.01")
        searched = book.quote(call("x", "m", 0, items={"web_search": 3}))
        assert priced(searched).cost_usd == Decimal("0.01") + 3 * Decimal("0.02")

    def test_a_kind_that_is_missing_says_where_to_add_it(self):
        book = book_of('[models]\n"m" = { input = 2 }')
        assert book.quote(call("x", "m", 1, 1)) == Quote(
            reason="prices.toml:2 has no price for output tokens", fix="add  output = ?  to prices.toml:2"
        )
        of_new_tool = book.quote(call("x", "m", 1, items={"tool_of_tomorrow": 1}))
        assert of_new_tool.reason == "prices.toml:2 has no price for tool_of_tomorrow"

    def test_price_map_as_langchain_nvidia_has_it(self):
        price_map = {"mixtral_8x7b": 0.00060, "gemma_7b": 0.0002, "gpt-4": 0.03, "gpt-4-completion": 0.06}
        in_file = "\n".join(["[price_map]", *(f'"{name}" = {usd}' for name, usd in price_map.items())])
        for book in (PriceBook.from_sources(price_map), book_of(in_file)):
            assert cost("NVIDIA", "mixtral_8x7b", 1_000, 500, book=book) == Decimal("0.0006") * 1_500 / 1_000
            assert cost("NVIDIA", "gpt-4", 1_000, 500, book=book) == Decimal("0.03") + Decimal("0.06") / 2

    def test_the_earlier_source_wins(self):
        book = PriceBook.from_sources(
            {"models": {"m": {"input": 1}}}, {"models": {"m": {"input": 2}, "n": {"input": 3}}}
        )
        assert cost("x", "m", 1_000, book=book) == mtok("1", 1_000)
        assert cost("x", "n", 1_000, book=book) == mtok("3", 1_000)

    def test_the_books_are_named(self):
        assert re.fullmatch(r"prices\.toml, genai-prices [\d.]+", book_of('[models]\n"m" = { input = 1 }').name)

    @given(
        provider=st.none() | st.sampled_from(["ollama", "amazon_bedrock", "we ird"]),
        model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    )
    @example(None, 'quo"ted\\')
    @example("ollama", "ab[c]*")
    @example("ollama", "\x7f\u2028😀")
    @example("openai", "gpt-9-search-api")
    @example("amazon_bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123")
    @example("amazon_bedrock", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.nobody.x-v1:0")
    def test_the_line_that_is_proposed_prices_the_call(self, provider, model):
        lost = call(provider, f"{model} that nobody sells", 1_000, 100, items={"file_search": 3})
        fix = unpriced(PriceBook().quote(lost)).fix
        assert "123456789012" not in fix
        assert not fix.startswith('"*0')
        found = book_of(f"[models]\n{fix.replace('= ?', '= 2')}").quote(lost)
        # More than the three where the name is one of a model that always searches.
        items = sum(line.quantity for line in priced(found).lines if line.kind not in ("input", "output"))
        assert items >= 3
        assert priced(found).cost_usd == mtok("2", 1_100) + 2 * items


class TestMistakesInAPriceFile:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                '[models]\n\n\n"other" = { input = 1 }\n\n# ours\n"my-model" = { imput = 2.5, output = 10 }',
                (
                    "prices.toml:7: model 'my-model': 'imput' is not a price kind "
                    "(input, output, cache_read, cache_write, ...); did you mean 'input'?"
                ),
            ),
            (
                '[models.a]\ninput = 1\n\n[models."b"]\ninput = 1\noutput = "cheap"\n',
                "prices.toml:6: model 'b': output = 'cheap' is not a price in USD (examples: 2.5, 0.075)",
            ),
            (
                '[[models."b"]]\ninput = 1\n[[models.b]]\ninput = -1\n',
                "prices.toml:4: model 'b': input = -1 is not a price in USD (examples: 2.5, 0.075)",
            ),
            (
                '[models]\n"b" = [\n  { input = 1 },\n  { input = nan },\n]',
                "prices.toml:2: model 'b': input = NaN is not a price in USD (examples: 2.5, 0.075)",
            ),
            (
                "[models]\nb = { input = true }",
                "prices.toml:2: model 'b': input = True is not a price in USD (examples: 2.5, 0.075)",
            ),
            ("[models]\nb = 2.5", "prices.toml:2: model 'b': expected a table such as { input = 0.5, output = 1.5 }"),
            ("models = 2", "prices.toml:1: models: expected a table, [models]"),
            (
                "[models]\nb = {}",
                "prices.toml:2: model 'b': no price: give input and output, or same_as, or free = true",
            ),
            ("[models]\nb = { free = 1 }", "prices.toml:2: model 'b': free = 1: expected true or false"),
            (
                "[models]\nb = { free = true, input = 1 }",
                "prices.toml:2: model 'b': free = true leaves no room for prices",
            ),
            (
                "[models]\nb = { input = 1, provider = 5 }",
                "prices.toml:2: model 'b': provider = 5: expected a name in quotes",
            ),
            (
                '[models]\nb = { input = 1, from = "2026-01-01" }',
                "prices.toml:2: model 'b': from = 2026-01-01 is not a day (example: 2026-01-01, without quotes)",
            ),
            (
                "[models]\nb = { input = 1, from = 2026-02-01, until = 2026-01-01 }",
                "prices.toml:2: model 'b': until = 2026-01-01 is not after from = 2026-02-01",
            ),
            (
                "[models.b]\ninput = 1\nabove = { tokens = 5, input = 2 }",
                (
                    "prices.toml:3: model 'b': above: expected tables like { input_tokens = 200_000, input = 5 }, "
                    "in ascending order"
                ),
            ),
            (
                "[models.b]\ninput = 1\nabove = [{ input_tokens = 5, input = 2 }, { input_tokens = 5, input = 3 }]",
                (
                    "prices.toml:3: model 'b': above: expected tables like { input_tokens = 200_000, input = 5 }, "
                    "in ascending order"
                ),
            ),
            (
                "[models.b]\ninput = 1\nabove = { input_tokens = 5, output = 2 }",
                "prices.toml:3: model 'b': above: output has no price for less input",
            ),
            (
                "[models.b]\ninput = 1\nabove = { input_tokens = 5, imput = 2 }",
                "prices.toml:3: model 'b': above: 'imput' is not a price kind; did you mean 'input'?",
            ),
            (
                '[price_map]\n"a" = 0.1\n"b" = "x"',
                "prices.toml:3: price_map: b = 'x' is not a price in USD (examples: 2.5, 0.075)",
            ),
            ('currency = "EUR"', "prices.toml:1: currency 'EUR': prices are in USD"),
            (
                "\n[model]\nb = { input = 1 }",
                "prices.toml:2: unknown key 'model'; known: models, price_map, currency; did you mean 'models'?",
            ),
            (
                '[models]\n"a\u2028" = [\n  { input = 1 },\n  [\n[] ]\n]\nb = { input = "" }',
                "prices.toml:2: model 'a\\u2028': expected a table such as { input = 0.5, output = 1.5 }",
            ),
            ("[models]\nb = { input = 1", "prices.toml:2: not TOML: "),
            ("[models]\nb = { input = 1 }\nb = { input = 1 }\n", "prices.toml:3: not TOML: cannot overwrite a value"),
            (
                "[models]\nb = { input = " + "9" * 5_000 + " }",
                "prices.toml:2: not TOML: exceeds the limit (4300 digits)",
            ),
            (
                "[models]\nb = { input = 1e" + "9" * 200 + " }",
                "prices.toml:2: not TOML: 1e99999999…999999999 has an exponent that is out of range",
            ),
            ("a = " + "[" * 100_000, "prices.toml: not TOML: it is nested too deeply"),
        ],
    )
    def test_one_line_with_its_number(self, text, message):
        with pytest.raises(ConfigurationError) as error:
            book_of(text)
        assert str(error.value).startswith(message)
        assert "\n" not in str(error.value)
        if not message.startswith("prices.toml:2: not TOML: ") or message.endswith("digits)"):
            assert str(error.value).startswith(message)
        elif message != "prices.toml:2: not TOML: ":
            assert str(error.value) == message

    def test_each_of_thousands_of_prices_knows_its_line_without_a_look_at_all_of_them(self, monkeypatch):
        text = "".join(f'[models."m-{number}"]\ninput = {number + 1}\n' for number in range(3_000))
        compiled = []
        monkeypatch.setattr(re, "compile", lambda *args: compiled.append(args))
        monkeypatch.setattr(re, "match", lambda *args: compiled.append(args))

        book = book_of(text)

        assert compiled == []
        monkeypatch.undo()
        assert priced(book.quote(call("x", "m-2999", 1))).source == "prices.toml:5999"

    def test_crlf_and_a_byte_order_mark(self):
        book = book_of('\ufeff[models]\r\n"m" = { input = 1 }\r\n')
        assert priced(book.quote(call("x", "m", 1))).source == "prices.toml:2"

    def test_a_mapping_has_no_lines(self):
        with pytest.raises(ConfigurationError, match=r"^llm_usage_prices: model 'b': input = 'x' is not a price"):
            PriceBook.from_sources({"models": {"b": {"input": "x"}}})

    @pytest.mark.parametrize("source", [None, 5, ["prices.toml"]])
    def test_something_else(self, source):
        with pytest.raises(ConfigurationError) as error:
            PriceBook.from_sources(source)
        assert str(error.value) == f"llm_usage_prices: {source!r} is neither a path nor a mapping"

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(ConfigurationError) as error:
            PriceBook.from_toml("nowhere.toml")
        assert str(error.value) == "nowhere.toml: the price file cannot be read: No such file or directory"

    def test_a_file_that_is_not_text(self):
        Path("prices.toml").write_bytes(b'[models]\n"\xff" = 1')
        with pytest.raises(ConfigurationError, match=r"^prices\.toml:2: the price file is not UTF-8 text$"):
            PriceBook.from_toml(Path("prices.toml").absolute())


class TestExplain:
    def test_lines_add_up_and_sources_are_named(self):
        prices = [
            priced(PriceBook().quote(call("openai", "gpt-4-turbo", tokens, 10, priced_at=day("2026-01-01"))))
            for tokens in (1_000, 2_500)
        ]
        bound = explain([dataclasses.replace(prices[0], at_most=True)])
        assert re.search(r"^total +at most +0\.0103$", bound, re.MULTILINE)
        lines = sum_lines(line for price in prices for line in price.lines)
        assert [(line.kind, line.quantity) for line in lines] == [("input", 3_500), ("output", 20)]
        assert sum(line.amount_usd for line in lines) == sum(price.cost_usd for price in prices)
        version = prices[0].source.split(",")[0]
        assert explain(prices) == (
            "          quantity  USD per 1M     USD\n"
            "gpt-4-turbo\n"
            "  input      3,500          10  0.035\n"
            "  output        20          30  0.0006\n"
            "total                           0.0356\n"
            "\n"
            f"prices: {version}, openai/gpt-4-turbo"
        )

    def test_a_source_that_is_longer_than_a_line_is_wrapped_between_its_words(self):
        quote = priced(PriceBook().quote(call("openai", "gpt-4-turbo", 1)))
        path = "price-files/" + "of-the-team/" * 8 + "prices.toml:2"
        text = explain(
            [dataclasses.replace(quote, source=f"the file {path} of the team", notes=("one " * 20 + "end",))]
        )
        assert text.partition("\n\n")[2] == (
            f"prices: the file\n  {path}\n  of the team\nnote: {'one ' * 17}one\n  one one end"
        )

    def test_a_price_by_the_piece_is_exact_in_a_decimal_context_of_the_tests_own(self):
        sound = priced(PriceBook().quote(call("groq", "whisper-large-v3", items={"audio_second": 3_600})))
        with decimal.localcontext(prec=2):
            text = explain([sound])
        assert text.splitlines()[2].split() == ["audio_second", "3,600", "0.000030833333333333", "each", "0.111"]

    def test_a_stated_cost_has_no_price_and_what_is_free_has_one_of_zero(self):
        stated = PriceBook().quote(call("openrouter", "nobody/knows", 9, stated_cost_usd=Decimal("0.00125")))
        free = book_of('[models]\n"m" = { provider = "ollama", free = true }').quote(call("ollama", "m", 7, 8))
        assert explain([stated, free]) == (
            "          quantity  USD per 1M      USD\n"
            "nobody/knows\n"
            "  stated         1              0.00125\n"
            "m\n"
            "  free          15           0  0\n"
            "total                           0.00125\n"
            "\n"
            "prices: stated by openrouter\n"
            "prices: prices.toml:2"
        )

    def test_what_applies_to_a_model_and_from_where(self):
        text = book_of('[models]\n"gpt-4-turbo" = { provider = "azure", input = 9 }').describe(
            "gpt-4-turbo", at=day("2026-10-20")
        )
        assert text.startswith("gpt-4-turbo on 2026-10-20, USD per million tokens\n\nfrom genai-prices ")
        assert "  input   10\n  output  30" in text
        assert "from prices.toml:2\n  input  9" in text

    def test_what_applies_at_one_provider(self):
        text = PriceBook().describe("gpt-5.4", provider="openai", at=day("2026-10-20"))
        _, _, _, head, sent, *_ = text.splitlines()
        assert head.strip() == "above 272,000 input tokens"
        assert sent.split() == ["input", "2.5", "5"]
        assert re.search(r"^  web_search +0\.01 +each$", text, re.MULTILINE)
        assert max(map(len, text.splitlines())) <= 80

    @pytest.mark.parametrize("provider", ["ollama", None])
    def test_free(self, provider):
        book = book_of('[models]\n"m" = { provider = "ollama", free = true }')
        assert "from prices.toml:2\n  free" in book.describe("m", provider=provider)

    def test_nothing_applies(self):
        with pytest.raises(PriceUnknownError) as error:
            PriceBook().describe("m", provider="ollama")
        assert re.fullmatch(
            r"no price is known for m: genai-prices [\d.]+ has no prices for ollama\n"
            r"Add to the file of llm_usage_prices:\n"
            r'  "m" = \{ provider = "ollama", input = \?, output = \? \}\n'
            r"No such file yet\? .*\nand set .*",
            str(error.value),
        )


def test_the_book_is_read_behind_the_back_of_coverage_and_debuggers():
    script = (
        "import sys\n"
        "from pytest_llm_usage.pricing import PriceBook\n"
        "seen = set()\n"
        "def trace(frame, event, arg): seen.add(frame.f_globals.get('__name__', '').partition('.')[0])\n"
        "sys.settrace(trace)\n"
        "PriceBook().read_ahead()\n"
        "assert sys.gettrace() is trace\n"
        "import colorsys\n"
        "assert 'colorsys' in seen and 'genai_prices' in sys.modules and 'genai_prices' not in seen, seen"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_genai_prices_is_not_imported_before_the_first_price():
    script = (
        "import sys; from pytest_llm_usage.pricing import PriceBook\n"
        "book = PriceBook.from_sources({'models': {'m': {'input': 1}}}); book.name\n"
        "assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- The tables of LangChain's own callbacks --------------------------------------------------------------------------


def _module_or_skip(name: str) -> ModuleType:
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        pytest.skip(f"{name.partition('.')[0]} is not installed; its price table is not copied here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # They are being retired, and say so.
        return importlib.import_module(name)


#: Where we differ from langchain-community's OpenAI table, and what settles it.
OPENAI_DIFFERENCES = {
    "gpt-4o-mini-search-preview": "its table has the tokens; OpenAI bills the search of each request as well",
    "gpt-4o-mini-search-preview-2025-03-11": "as gpt-4o-mini-search-preview",
    "gpt-4o-search-preview": "as gpt-4o-mini-search-preview",
    "gpt-4o-search-preview-2025-03-11": "as gpt-4o-mini-search-preview",
    "gpt-3.5-turbo": "its table has the 0613 model; OpenAI moved the name to 0125 (0.50 and 1.50 USD) in 2024-02",
    "gpt-35-turbo": "as gpt-3.5-turbo",
    "gpt-35-turbo-0301": "its table has 2 USD for input; OpenAI's price for 0301 was 1.50",
    "o1 output": "it prices output as input, since its test is for names that begin with 'o1-'; OpenAI: 60 USD",
    "o3 output": "as o1; OpenAI: 8 USD",
    "computer-use-preview output": "it prices output as input; OpenAI: 12 USD",
    "computer-use-preview-2025-03-11 output": "as computer-use-preview",
    "gpt-4.5-preview cached": "it prices cached input as input; OpenAI: 37.50 USD",
    "gpt-4.5-preview-2025-02-27 cached": "as gpt-4.5-preview",
}

#: Where we differ from langchain-community's table for Claude on Bedrock.
BEDROCK_DIFFERENCES = {
    "anthropic.claude-sonnet-4-5-20250929-v1:0": "AWS: 10 % more than the global profile at regional endpoints",
    "anthropic.claude-sonnet-4-20250514-v1:0": "a million tokens are a long context, which costs more",
}


def test_openai_side_by_side_with_langchain_community():
    info = _module_or_skip("langchain_community.callbacks.openai_info")
    million = 1_000_000
    asked = {
        "input": (info.TokenType.PROMPT, TokenUsage.from_counts(million, 0)),
        "output": (info.TokenType.COMPLETION, TokenUsage.from_counts(0, million)),
        "cached": (
            info.TokenType.PROMPT_CACHED,
            TokenUsage.from_counts(million, 0, input_token_details={"cache_read": million}),
        ),
    }
    compared, differing = 0, set()
    for model in info.MODEL_COST_PER_1K_TOKENS:
        if model.endswith(("-completion", "-cached")) or "-finetuned" in model:
            continue
        for kind, (token_type, usage) in asked.items():
            try:
                theirs = info.get_openai_token_cost_for_model(model, million, token_type=token_type)
            except ValueError:
                continue  # It has no price of this kind.
            provider = "azure" if model.startswith("gpt-35") else "openai"
            # The day on which the table was last brought up to date.
            ours = PriceBook().quote(call(provider, model, usage=usage, priced_at=day("2025-08-20")))
            if ours.cost_usd is None:
                continue
            compared += 1
            if ours.cost_usd != Decimal(str(round(theirs, 9))):
                differing.add(model if model in OPENAI_DIFFERENCES else f"{model} {kind}")
    assert compared > 200
    assert differing == set(OPENAI_DIFFERENCES)


def test_bedrock_anthropic_side_by_side_with_langchain_community():
    table = _module_or_skip("langchain_community.callbacks.bedrock_anthropic_callback")
    compared, differing = 0, set()
    for model in table.MODEL_COST_PER_1K_INPUT_TOKENS:
        theirs = table._get_anthropic_claude_token_cost(1_000_000, 1_000_000, f"us.{model}")
        ours = PriceBook().quote(call("amazon_bedrock", f"us.{model}", 1_000_000, 1_000_000))
        if ours.cost_usd is not None:
            compared += 1
            if ours.cost_usd != Decimal(str(round(theirs, 9))):
                differing.add(model)
    assert compared >= 10
    assert differing == set(BEDROCK_DIFFERENCES)


def test_nvidia_price_map_side_by_side():
    callbacks = _module_or_skip("langchain_nvidia_ai_endpoints.callbacks")
    price_map = {"mixtral_8x7b": 0.00060, "gemma_7b": 0.0002, "nvolveqa_40k": 0.000016}
    for model in price_map:
        theirs = callbacks.get_token_cost_for_model(model, 1_412, price_map) + callbacks.get_token_cost_for_model(
            model, 171, price_map, is_completion=True
        )
        assert cost("NVIDIA", model, 1_412, 171, book=PriceBook.from_sources(price_map)) == Decimal(
            str(round(theirs, 12))
        )


# --- Recordings of real traffic ---------------------------------------------------------------------------------------

#: The index's names for providers → LangChain's, where they differ.
LANGCHAIN_NAMES = {
    "aws-bedrock": "amazon_bedrock",
    "aws-bedrock-mantle": "openai-mantle",
    "google-gemini": "google_genai",
    "google-vertex": "google_vertexai",
    "mistral": "mistralai",
}


def _why_it_differs(recorded: Call, price: Quote, stated_usd: Decimal) -> str:
    """Why our own price does not reproduce a cost on the wire, which is still the cost; empty where nothing explains it."""
    if recorded.provider == "perplexity" and stated_usd < price.cost_usd:
        return "the fee per request depends on the size of the search; the price book has the largest"
    maker = recorded.model.partition("/")[0]
    if recorded.provider == "openrouter" and (maker not in CLOSED_MAKERS or "gpt-oss" in recorded.model):
        return "bills the host it routed to; the price book has the price of one of them"
    return ""


#: Models that genai-prices knows and whose call has no price, by provider and model, and why.
KNOWN_AND_UNPRICED = {
    ("azure", "grok-4-1-fast-non-reasoning"): "more cached tokens than input tokens",
    ("openai", "gpt-4o-mini-2024-07-18"): "audio tokens (made up) of a model that hears none",
    ("openai", "o4-mini-2025-04-16"): "a container of the code interpreter, for which the price book has no fee",
    ("openai", "gpt-5-2025-08-07"): "as o4-mini-2025-04-16",
    ("google_vertexai", "gemini-3-flash-preview"): "no price for the flex tier",
    ("openrouter", "google/gemini-2.5-flash"): "provisioned throughput is not billed by token",
}


def _recorded() -> Iterator[tuple[Call, Decimal | None]]:
    """Every call of the corpus that carries usage, and the cost that its provider stated on the wire."""
    for index, row in enumerate(corpus.rows()):
        if row["call_kind"] != "call" or not row["usage"]:
            continue
        extra = row["extra"] or {}
        tier = extra.get("service_tier")
        parts = extra.get("unreported_by_top_level") or ()
        answer = wire.read(corpus.exchange(row))
        assert answer is not None
        yield (
            Call(
                index=index,
                provider=LANGCHAIN_NAMES.get(row["provider"], row["provider"]),
                model=row["model"] or "unknown",
                requested_model=row["request_model"],
                usage=TokenUsage.from_dict(row["usage"]),
                billing=replace(
                    answer.billing,
                    service_tier=None if tier is None else str(tier),
                    parts=tuple(
                        Part(part["type"], part["model"], TokenUsage.from_dict(part["usage"])) for part in parts
                    ),
                    stated_cost_usd=None,
                    priced_at=_recorded_at(row["recorded"]),
                ),
            ),
            _stated_usd(row["raw_usage"]),
        )


def _recorded_at(date: str | None) -> float:
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return math.inf


def _stated_usd(raw_usage: list[dict[str, Any]]) -> Decimal | None:
    """OpenRouter: `cost`. Perplexity: `cost.total_cost`. xAI: `cost_in_usd_ticks`, of 1e-10 USD."""
    stated = None
    for usage in (entry["usage"] for entry in raw_usage):
        cost = usage.get("cost")
        if isinstance(cost, dict):
            cost = cost.get("total_cost")
        if usage.get("cost_in_usd_ticks"):
            stated = Decimal(usage["cost_in_usd_ticks"]) / 10**10
        elif cost is not None:
            stated = Decimal(str(cost))
    return stated


@corpus.needs_corpus
def test_costs_on_the_wire_are_reproduced():
    unexplained = []
    compared = 0
    for recorded, stated_usd in _recorded():
        price = PriceBook().quote(recorded)
        if stated_usd is None or price.cost_usd is None:
            continue
        compared += 1
        # Providers state what a binary float holds of it, to 1e-8 USD or finer.
        if abs(price.cost_usd - stated_usd) > STATED_PRECISION_USD and not _why_it_differs(recorded, price, stated_usd):
            unexplained.append((recorded.provider, recorded.model, stated_usd, price.cost_usd))
    assert compared > 20
    assert not unexplained


@corpus.needs_corpus
def test_models_that_genai_prices_knows_find_their_price():
    """ "Knows" by its own, laxer matching under the provider that answered."""
    from genai_prices.data import providers

    ids = {"amazon_bedrock": "aws", "openai-mantle": "aws", "mistralai": "mistral", "xai": "x-ai"}
    ids |= dict.fromkeys(("google_genai", "google_vertexai"), "google")
    sellers = {provider.id: provider for provider in providers}
    found = 0
    unpriced_models = Counter()
    for recorded, _ in _recorded():
        provider = str(recorded.provider)
        seller = sellers.get(ids.get(provider, provider))
        if seller is None or seller.find_model(recorded.model, all_providers=providers) is None:
            continue
        if PriceBook().quote(recorded).cost_usd is not None:
            found += 1
        else:
            unpriced_models[provider, recorded.model] += 1
    assert unpriced_models.keys() <= KNOWN_AND_UNPRICED.keys(), json.dumps(
        [[*model, count] for model, count in unpriced_models.items()]
    )
    assert found >= 0.98 * (found + unpriced_models.total())
