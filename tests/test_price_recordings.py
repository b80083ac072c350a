"""What real recordings with searches, caches, tiers and regions cost, worked out by hand from the providers' price lists.

Each row: the recording, its tokens by price (USD per million), what is billed by the piece. The numbers of tokens are those
on the wire; nothing of them is computed by the code that is tested.
"""

from __future__ import annotations

from decimal import Decimal

import corpus
import pytest

from pytest_llm_usage import wire
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import total
from pytest_llm_usage.pricing import PriceBook

#: Recording → tokens × USD per million, and USD for what is billed by the piece.
HAND_PRICED = {
    # Anthropic: https://platform.claude.com/docs/en/about-claude/pricing
    "anthropic-messages-openinference__TestTokenCounts.test_anthropic-0": [
        (107 - 2 - 5, "0.80"), (2, "0.08"), (5, "1"), (21, "4"),
    ],
    "anthropic-messages-openllmetry__test_prompt_caching__test_anthropic_prompt_caching_async_stream_legacy-0": [
        (1_171 - 1_167, "3"), (1_167, "3.75"), (289, "15"),
    ],
    "anthropic-messages-openllmetry__test_prompt_caching__test_anthropic_prompt_caching_async_stream_legacy-1": [
        (1_171 - 1_167, "3"), (1_167, "0.30"), (256, "15"),
    ],
    "anthropic-messages-langchain-anthropic-1.7.10__test_skills-0": [(23_243, "1"), (507, "5")],
    "anthropic-messages-pydantic-ai__test_anthropic_mid_conversation_system__test_inline_system_prompt_cache_prefix_is_reused-0": [
        (1_592 - 1_590, "5"), (1_590, "6.25"), (4, "25"),
    ],
    "anthropic-messages-pydantic-ai__test_anthropic_mid_conversation_system__test_inline_system_prompt_cache_prefix_is_reused-1": [
        (1_592 - 1_590, "5"), (1_590, "0.50"), (4, "25"),
    ],
    "anthropic-messages-mirascope__test_caching_tool__anthropic_claude_sonnet_4_0-0": [
        (4_749 - 4_602, "3"), (4_602, "3.75"), (38, "15"),
    ],
    "anthropic-messages-mirascope__test_caching_tool__anthropic_claude_sonnet_4_0-1": [
        (4_753 - 4_602, "3"), (4_602, "0.30"), (38, "15"),
    ],
    "anthropic-messages-dd-trace-py__anthropic_completion_cache_write_1h_ttl-0": [
        (2_073 - 2_056, "3"), (2_056, "6"), (100, "15"),
    ],
    "anthropic-messages-pydantic-ai__test_tool_search__test_anthropic_to_google_deferred_capability_history_replay-1": [
        (1_076 - 1_069, "3"), (1_069, "3.75"), (60, "15"),
    ],
    "anthropic-messages-pydantic-ai__test_tool_search__test_anthropic_to_google_deferred_capability_history_replay-2": [
        (1_160 - 1_069 - 85, "3"), (1_069, "0.30"), (85, "3.75"), (110, "15"),
    ],
    "anthropic-messages-pydantic-ai__test_thinking_native_tools__test_thinking_with_native_tool_wire_contract_anthropic_-0": [
        (7_744, "3"), (353, "15"), "0.01",
    ],
    "anthropic-messages-chatlas__test_provider_anthropic_files__test_anthropic_file_lifecycle-1": [
        (1_639 - 1_636, "3"), (1_636, "3.75"), (4, "15"),
    ],
    "anthropic-messages-pydantic-ai__test_code_execution_files_vcr__test_anthropic_code_execution_files_cache_prefix_stable_messages-sonnet-5_-1": [
        (20_702 - 13_637 - 7_049, "2"), (13_637, "0.20"), (7_049, "2.50"), (344, "10"),
    ],
    # Bedrock, by source region and inference profile: https://aws.amazon.com/bedrock/pricing/
    "bedrock-invoke-openinference__TestNovaInvokeModel.test_nova_lite_with_system-0": [(16, "0.06"), (27, "0.24")],
    "bedrock-converse-openllmetry__test_bedrock_guardrails_metrics__test_titan_converse_guardrail-0": [
        (28, "0.20"), (26, "0.60"),
    ],
    "bedrock-converse-openinference__TestConverseStream.test_invoke_tool_response_message-0": [(443, "0.25"), (23, "1.25")],
    "bedrock-converse-dd-trace-py__bedrock_cassettes__bedrock_converse-0": [(269, "3"), (77, "15")],
    "bedrock-invoke-pydantic-ai__test_anthropic__test_anthropic_cache_bedrock_real_api-0": [
        (9_514 - 9_511, "1.10"), (9_511, "0.11"), (1_944, "5.50"),
    ],
    "bedrock-invoke-pydantic-ai__test_anthropic__test_anthropic_cache_bedrock_real_api-1": [
        (11_470 - 9_511 - 1_956, "1.10"), (9_511, "0.11"), (1_956, "1.375"), (44, "5.50"),
    ],
    "bedrock-invoke-chatlas__test_provider_bedrock__test_data_extraction-0": [(748, "3.30"), (54, "16.50")],
    "bedrock-converse-openllmetry__test_meta__test_meta_converse_stream-0": [(52, "0.10"), (36, "0.10")],
    "openai-responses-pydantic-ai__test_bedrock_mantle__test_reused_tool_call_ids_stream_-0": [(88, "1.10"), (14, "6.60")],
    "openai-responses-pydantic-ai__test_bedrock_mantle__test_reused_tool_call_ids_request_-0": [
        (88 - 86, "1.10"), (86, "1.375"), (14, "6.60"),
    ],
    "bedrock-converse-pydantic-ai__test_bedrock__test_bedrock_model_with_code_execution_tool-0": [
        (1_002, "0.33"), (59, "2.75"),
    ],
    "bedrock-converse-pydantic-ai__test_settings__test_stop_settings_bedrock_-0": [(25, "0.035"), (4, "0.14")],
    "bedrock-converse-pydantic-ai__test_bedrock__test_bedrock_model_usage_limit_not_exceeded-1": [(19, "3"), (108, "15")],
    "bedrock-converse-pydantic-ai__test_bedrock__test_bedrock_cache_messages_with_document_as_last_content-0": [
        (1_715 - 1_712, "3.30"), (1_712, "4.125"), (227, "16.50"),
    ],
    "bedrock-converse-pydantic-ai__test_bedrock__test_bedrock_cache_messages_with_document_as_last_content-1": [
        (1_951 - 1_712 - 236, "3.30"), (1_712, "0.33"), (236, "4.125"), (121, "16.50"),
    ],
    "bedrock-converse-pydantic-ai__test_bedrock__test_bedrock_model_thinking_part_anthropic_legacy-0": [
        (43, "3.30"), (306, "16.50"),
    ],
    "bedrock-converse-crewAI__agents__TestBedrockNativeToolCalling.test_bedrock_agent_kickoff_with_tools_mocked-0": [
        (642, "3.30"), (69, "16.50"),
    ],
    "bedrock-converse-langchain-aws-1.9.1__test_agent_loop_v1_-0": [(446, "2.20"), (55, "11")],
    "bedrock-converse-pydantic-ai__test_bedrock__test_bedrock_media_kind_delivered_in_tool_result_meta_document_-0": [
        (149, "0.24"), (19, "0.97"),
    ],
    # OpenAI: https://developers.openai.com/api/docs/pricing
    "openai-responses-dd-trace-py__v1__responses_stream_prompt_caching_cache_read-0": [
        (1_515 - 1_390, "2.50"), (1_390, "1.25"), (8, "10"),
    ],
    "openai-responses-pydantic-ai__test_openai_responses__test_openai_responses_model_web_search_tool_with_user_location-0": [
        (9_463 - 8_320, "1.25"), (8_320, "0.125"), (660, "10"), "0.01",
    ],
    "openai-responses-pydantic-ai__test_openai_responses__test_openai_responses_model_builtin_tools_web_search-0": [
        (115_886 - 92_160, "1.25"), (92_160, "0.125"), (1_720, "10"), "0.06",
    ],
    "openai-responses-pydantic-ai__test_openai_responses__test_openai_responses_thinking_with_tool_calls-1": [
        (2_087 - 2_048, "1.25"), (2_048, "0.125"), (124, "10"),
    ],
    "openai-responses-openllmetry__test_responses__test_responses_with_service_tier-0": [(8, "2.50"), (15, "20")],
    "openai-chat-langsmith-sdk__test_openai_test_wrap_openai_chat_tokens-4": [(8, "0.025"), (296, "0.20")],
    "openai-responses-pydantic-ai__test_openai_responses__test_openai_include_raw_annotations_streaming-0": [
        (12_243, "1.75"), (140, "14"), "0.02",
    ],
    "openai-responses-pydantic-ai__test_openai_responses__test_openai_include_raw_annotations_streaming-1": [
        (8_234, "1.75"), (79, "14"), "0.01",
    ],
    "openai-chat-pydantic-ai__test_openai_prompt_cache__test_openai_chat_prompt_cache_e2e-0": [
        (4_020 - 4_012, "5"), (4_012, "6.25"), (4, "30"),
    ],
    "openai-chat-pydantic-ai__test_openai_prompt_cache__test_openai_chat_prompt_cache_e2e-1": [
        (4_020 - 4_012, "5"), (4_012, "0.50"), (4, "30"),
    ],
    # The older search tool on a model that does not reason: what it finds costs nothing, a search more.
    "openai-responses-langchain-openai-1.7.4__test_function_calling-2": [(343, "0.15"), (623, "0.60"), "0.025"],
    "openai-responses-crewAI__openai__test_openai_responses_api_with_parse_tool_outputs-0": [
        (313, "0.15"), (108, "0.60"), "0.025",
    ],
    # Gemini, a search for each prompt: https://ai.google.dev/gemini-api/docs/pricing
    "gemini-generateContent-pydantic-ai__test_tool_choice_matrix__test_google_native_tool_only_web_search_completes-0": [
        (101, "0.30"), (236, "2.50"), "0.035",
    ],
    "gemini-generateContent-ruby_llm__chat_citations_with_vertexai_gemini-2_5-flash_returns_grounding_citations_when_search_is_enabled-1": [
        (70, "0.30"), (248, "2.50"), "0.035",
    ],
    # xAI: https://docs.x.ai/docs/models
    "openai-responses-ruby_llm__chat_basic_chat_functionality_xai_grok-4-1-fast-non-reasoning_can_handle_multi-turn_conversations-0": [
        (202 - 128, "1.25"), (128, "0.20"), (205, "2.50"),
    ],
}  # fmt: skip


def _by_hand(bill):
    amounts = [Decimal(line) if isinstance(line, str) else line[0] * Decimal(line[1]) / 1_000_000 for line in bill]
    return total(amounts)


@corpus.needs_corpus
@pytest.mark.parametrize("recording", HAND_PRICED)
def test_a_recording_costs_what_its_price_list_says(recording):
    (row,) = [row for row in corpus.rows() if corpus.row_id(row) == recording]
    answer = wire.read(corpus.exchange(row))
    billing = answer.billing
    made = Call(
        index=0,
        provider=answer.provider,
        model=answer.model,
        requested_model=answer.requested_model,
        usage=answer.usage,
        billing=billing,
    )
    quote = PriceBook().quote(made)
    assert (quote.book_usd or quote.cost_usd) == _by_hand(HAND_PRICED[recording]), quote


def test_enough_recordings_are_priced_by_hand():
    assert len(HAND_PRICED) >= 40
