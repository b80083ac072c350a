"""More forms of what other modules have: pictures without details, sound by the second, pages, gateways, hosts."""

import json

from bodies import sse

from documented.openai import OPENAI, PRICES, completion, response, tokens
from documented.row import api

OPENROUTER = "https://openrouter.ai/api/v1"
MISTRAL = "https://api.mistral.ai/v1"
CLAUDE = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": []}
PLAIN = tokens(100, 10)
INPUT_OUTPUT = {"input_tokens": 100, "output_tokens": 10}


def message(usage, model="claude-sonnet-4-6", **more):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": usage,
        **more,
    }


def picture(output_tokens_details=None):
    usage = {
        "input_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens": 1_000,
        "total_tokens": 1_050,
    }
    return usage | ({"output_tokens_details": output_tokens_details} if output_tokens_details else {})


# --- Pictures ---------------------------------------------------------------------------------------------------------

pictures = api(
    url=f"{OPENAI}/images/generations",
    source=f"openai SDK: ImageGenCompletedEvent; {PRICES}",
    flavour="openai-images",
    provider="openai",
    request={"model": "gpt-image-1.5", "prompt": "hi"},
    model="gpt-image-1.5",
)
PICTURES = (
    pictures(
        "picture without output details",
        {"created": 1_788_000_000, "data": [{"b64_json": "aGk="}], "usage": picture()},
        (50, 1_000),
        billed=(50, 1_000, {"image": 40}, {"image": 1_000}),
        cost="10*5 + 40*8 + 1000*32",
    ),
    pictures(
        "picture in a stream without output details",
        sse(
            ("image_generation.partial_image", {"type": "image_generation.partial_image", "b64_json": "aGk="}),
            (
                "image_generation.completed",
                {"type": "image_generation.completed", "b64_json": "aGk=", "usage": picture()},
            ),
        ),
        (50, 1_000),
        billed=(50, 1_000, {"image": 40}, {"image": 1_000}),
        cost="10*5 + 40*8 + 1000*32",
    ),
    pictures(
        "picture with text that was thought",
        {"data": [{"b64_json": "aGk="}], "usage": picture({"image_tokens": 900, "text_tokens": 100})},
        (50, 1_000),
        billed=(50, 1_000, {"image": 40}, {"image": 900}),
        cost="10*5 + 40*8 + 900*32 + 100*10",
    ),
    api(
        url=f"{OPENROUTER}/images",
        source="openrouter SDK: ImageGenerationUsage",
        flavour="openrouter-images",
        provider="openrouter",
        request={"model": "google/gemini-3-pro-image-preview", "prompt": "hi"},
        model="google/gemini-3-pro-image-preview",
    )(
        "picture",
        {
            "data": [{"b64_json": "aGk="}],
            "usage": {
                **tokens(10, 1_120, None, {"image_tokens": 1_120, "reasoning_tokens": 0}),
                "cost": 0.13,
                "is_byok": False,
            },
        },
        (10, 1_120),
        received={"reasoning": 0},
        billed=(10, 1_120, {}, {"reasoning": 0, "image": 1_120}),
        stated="0.13",
        cost="stated",
    ),
)

# --- Sound ------------------------------------------------------------------------------------------------------------

HEARD = {"prompt_audio_seconds": 203, "prompt_tokens": 4, "total_tokens": 3_264, "completion_tokens": 635}

sound = api(
    url=f"{OPENAI}/audio/transcriptions", source="openai SDK: UsageDuration", flavour="openai-audio", provider="openai"
)
SOUND = (
    sound(
        "a begun second",
        {"text": "Hi", "languages": [], "usage": {"type": "duration", "seconds": 8.2}},
        None,
        billed=(0, 0, {}, {}),
        status="no_usage",
        note="the response states no usage",
        request={"model": "gpt-transcribe"},
        model="gpt-transcribe",
        items={"audio_second": 9},
        cost="9*75",
    ),
    sound(
        "translation in full",
        {"task": "translate", "language": "en", "duration": "9.00", "text": "Hi", "segments": []},
        None,
        billed=(0, 0, {}, {}),
        status="no_usage",
        note="the response states no usage",
        url=f"{OPENAI}/audio/translations",
        source="openai SDK: TranslationVerbose",
        request={"model": "whisper-1"},
        model="whisper-1",
        items={"audio_second": 9},
        cost="9*100",
    ),
    api(
        url="https://api.groq.com/openai/v1/audio/transcriptions",
        source="https://console.groq.com/docs/speech-to-text",
        flavour="openai-audio",
        provider="groq",
    )(
        "less than the ten seconds that are billed",
        {"task": "transcribe", "language": "English", "duration": 3.4, "text": "Hi", "x_groq": {"id": "req_1"}},
        None,
        billed=(0, 0, {}, {}),
        status="no_usage",
        note="the response states no usage",
        request={"model": "whisper-large-v3"},
        model="whisper-large-v3",
        items={"audio_second": 4},
        # 0.111 USD an hour, to the twelfth digit.
        cost="308.333333",
    ),
    api(
        url=f"{MISTRAL}/audio/transcriptions",
        source="https://docs.mistral.ai/api/endpoint/audio/transcriptions",
        flavour="openai-audio",
        provider="mistral",
        request={"model": "voxtral-mini-latest"},
        model="voxtral-mini-2602",
    )(
        "seconds that only the total counts in tokens",
        {"model": "voxtral-mini-2602", "text": "Hi", "language": "en", "segments": [], "usage": HEARD},
        (4, 635, 3_264),
        items={"audio_second": 203},
        cost="203*50",
    ),
    api(
        url=f"{MISTRAL}/audio/transcriptions",
        source="mistralai SDK: TranscriptionStreamDone",
        flavour="openai-audio",
        provider="mistral",
        request={"model": "voxtral-mini-latest"},
        model="voxtral-mini-2602",
    )(
        "seconds at the end of a stream",
        sse(
            ("transcription.text.delta", {"type": "transcription.text.delta", "text": "Hi"}),
            (
                "transcription.done",
                {"type": "transcription.done", "model": "voxtral-mini-2602", "text": "Hi", "usage": HEARD},
            ),
        ),
        (4, 635, 3_264),
        items={"audio_second": 203},
        cost="203*50",
    ),
    api(
        url=f"{MISTRAL}/chat/completions",
        source="mistralai SDK: UsageInfo",
        flavour="openai-chat",
        provider="mistral",
    )(
        "sound in a chat",
        completion("voxtral-small-24b-2507", {**tokens(800, 10), "prompt_audio_seconds": 60}),
        (800, 10),
        model="voxtral-small-24b-2507",
        items={"audio_second": 60},
        # 0.24 USD an hour beside the text.
        cost="800*0.1 + 10*0.4 + 4000",
    ),
    api(
        url=f"{MISTRAL}/chat/completions",
        source="mistralai SDK: UsageInfo",
        flavour="openai-chat",
        provider="mistral",
    )(
        "sound in a chat that the prompt leaves out",
        completion(
            "voxtral-small-24b-2507",
            {
                "prompt_tokens": 12,
                "completion_tokens": 20,
                "total_tokens": 482,
                "prompt_audio_seconds": 6,
                "prompt_tokens_details": {"audio_tokens": 450, "cached_tokens": 0},
            },
        ),
        (12, 20, 482),
        sent={"audio": 450, "cache_read": 0},
        model="voxtral-small-24b-2507",
        items={"audio_second": 6},
        # 0.24 USD an hour beside the text; no token of the sound is billed.
        cost="12*0.1 + 20*0.4 + 400",
    ),
    api(
        url=f"{MISTRAL}/chat/completions",
        source="mistralai SDK: UsageInfo",
        flavour="openai-chat",
        provider="mistral",
    )(
        "no sound in a chat",
        completion("mistral-large-2512", {**PLAIN, "prompt_audio_seconds": None}),
        (100, 10),
        model="mistral-large-2512",
        cost="100*0.5 + 10*1.5",
    ),
    api(
        url=f"{OPENROUTER}/audio/transcriptions",
        source="openrouter SDK: STTUsage",
        flavour="openai-audio",
        provider="openrouter",
    )(
        "seconds and their cost",
        {"text": "Hi", "usage": {"seconds": 9.2, "cost": 0.0009}},
        None,
        billed=(0, 0, {}, {}),
        status="no_usage",
        note="the response states no usage",
        request={"model": "openai/whisper-1"},
        model="openai/whisper-1",
        items={"audio_second": 10},
        stated="0.0009",
        cost="stated",
    ),
)

# --- Pages ------------------------------------------------------------------------------------------------------------

PAGES = (
    api(url=f"{MISTRAL}/ocr", source="mistralai SDK: OCRResponse", flavour="mistral-ocr", provider="mistral")(
        "pages that were annotated",
        {
            "pages": [{"index": 0, "markdown": "Hi"}],
            "model": "mistral-ocr-2512",
            "usage_info": {"pages_processed": 10, "doc_size_bytes": None},
            "document_annotation": "{}",
        },
        None,
        billed=(0, 0, {}, {}),
        status="no_usage",
        note="the response states no usage",
        request={"model": "mistral-ocr-latest", "document": {}},
        model="mistral-ocr-2512",
        items={"annotated_page": 10},
        cost="10*3000",
    ),
    api(
        url="https://mine.services.ai.azure.com/providers/mistral/azure/ocr",
        source="mistralai SDK: azure",
        flavour="mistral-ocr",
        provider="azure",
    )(
        "pages on Azure",
        {"pages": [], "model": "mistral-document-ai-2512", "usage_info": {"pages_processed": 2, "doc_size_bytes": 9}},
        None,
        billed=(0, 0, {}, {}),
        status="no_usage",
        note="the response states no usage",
        request={"model": "mistral-document-ai-2512", "document": {}},
        model="mistral-document-ai-2512",
        items={"page": 2},
        cost="unpriced",
    ),
)

# --- What else OpenAI, Anthropic and Google sell ----------------------------------------------------------------------

DECIDED = {
    "model": "gpt-6-luna",
    "answers": [{"type": "predicate", "probability": 0.9, "name": None}],
    "usage": {
        "input_tokens": 1_000,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1_020,
    },
}

claude = api(
    url="https://api.anthropic.com/v1/messages",
    source="https://platform.claude.com/docs/en/build-with-claude/fallback-credit",
    flavour="anthropic-messages",
    provider="anthropic",
    request=CLAUDE,
    model="claude-sonnet-4-6",
)
WRITTEN = {"input_tokens": 100, "cache_creation_input_tokens": 1_000, "output_tokens": 10}
MAKERS = (
    api(
        url=f"{OPENAI}/decisions",
        source=f"openai SDK: Decision; {PRICES}",
        flavour="openai-decisions",
        provider="openai",
    )(
        "answers are not billed",
        DECIDED,
        (1_000, 20),
        request={"model": "gpt-6-luna", "input": "hi", "questions": []},
        model="gpt-6-luna",
        seller="openai-decisions",
        sent={"cache_read": 0, "cache_creation": 0},
        received={"reasoning": 0},
        cost="1000*0.1",
    ),
    claude(
        "a fallback credit that was redeemed",
        message({**WRITTEN, "fallback_credit": {"status": {"type": "redeemed"}}}),
        (1_100, 10),
        sent={"cache_creation": 1_000},
        modifiers={"fallback_credit": "redeemed"},
        cost="100*3 + 1000*3.75 + 10*15",
    ),
    claude(
        "a fallback credit that was not",
        message({**WRITTEN, "fallback_credit": {"status": {"type": "not_applied", "reason": "expired"}}}),
        (1_100, 10),
        sent={"cache_creation": 1_000},
        cost="100*3 + 1000*3.75 + 10*15",
    ),
    claude(
        "its own platform on AWS",
        message(INPUT_OUTPUT),
        (100, 10),
        source="anthropic SDK: AnthropicAWS",
        url="https://aws-external-anthropic.us-west-2.api.aws/v1/messages",
        cost="100*3 + 10*15",
    ),
    claude(
        "its own platform on Google Cloud",
        message(INPUT_OUTPUT),
        (100, 10),
        source="anthropic SDK: AnthropicGoogleCloud",
        url="https://claude.googleapis.com/v1/messages",
        cost="100*3 + 10*15",
    ),
    api(
        url="https://generativelanguage.googleapis.com/v1beta/interactions",
        source="google-genai SDK: StepDeltaMetadata",
        flavour="gemini-interactions",
        provider="google_genai",
    )(
        "usage so far beside a step",
        sse(
            {"event_type": "interaction.created", "interaction": {"id": "v1_1", "model": "gemini-2.5-flash"}},
            {
                "event_type": "step.delta",
                "index": 0,
                "delta": {"type": "text", "text": "Hi"},
                "metadata": {"total_usage": {"total_input_tokens": 10, "total_output_tokens": 3, "total_tokens": 13}},
            },
            {"event_type": "interaction.completed", "interaction": {"id": "v1_1", "model": "gemini-2.5-flash"}},
        ),
        (10, 3),
        request={"model": "gemini-2.5-flash", "input": "hi", "stream": True},
        model="gemini-2.5-flash",
        cost="10*0.3 + 3*2.5",
    ),
    api(
        url="https://generativelanguage.googleapis.com/v1beta/voices",
        source="google-genai SDK: VoiceOutput",
        flavour="gemini-voices",
        provider="google_genai",
    )(
        "voice",
        {
            "id": "voice_1",
            "type": "prompted",
            "model": "gemini-voice-design",
            "usage": {"total_input_tokens": 10, "total_output_tokens": 3, "total_tokens": 13},
        },
        (10, 3),
        request={"type": "prompted", "prompted": {}},
        model="gemini-voice-design",
        cost="unpriced",
    ),
    api(
        url="https://1.us-central1-2.prediction.vertexai.goog/v1/projects/2/locations/us-central1/endpoints/1:predict",
        source="https://docs.cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type",
        flavour="vertex-endpoint",
        provider="google_vertexai",
        region="us-central1",
    )(
        "an endpoint with a host of its own",
        {"predictions": completion("mine", PLAIN), "deployedModelId": "3"},
        (100, 10),
        request={"instances": [{"@requestFormat": "chatCompletions", "messages": []}]},
        model="mine",
        cost="unpriced",
    ),
    api(
        url="https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions",
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html",
        flavour="openai-chat",
        provider="amazon_bedrock",
        region="us-east-1",
    )(
        "a name without its version",
        completion("openai.gpt-oss-120b", PLAIN),
        (100, 10),
        request={"model": "openai.gpt-oss-120b", "messages": []},
        model="openai.gpt-oss-120b",
        cost="100*0.15 + 10*0.6",
    ),
)

# --- Gateways ---------------------------------------------------------------------------------------------------------

CHAT = {
    "source": "https://platform.openai.com/docs/api-reference/chat/object",
    "flavour": "openai-chat",
    "model": "gpt-4o-2024-08-06",
}
vercel = api(
    url="https://ai-gateway.vercel.sh/v1/chat/completions",
    source="https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions",
    flavour="openai-chat",
    provider="vercel",
    model="anthropic/claude-sonnet-4.6",
)
GOOGLE_COUNTED = {
    "google": {
        "usageMetadata": {
            "promptTokenCount": 20,
            "candidatesTokenCount": 30,
            "thoughtsTokenCount": 40,
            "totalTokenCount": 90,
        }
    },
    "gateway": {"cost": "0.0002"},
}


def thought_beside(reasoning):
    """The usage of a short answer: its total leaves out the reasoning."""
    return tokens(20, 30) | {"completion_tokens_details": {"reasoning_tokens": reasoning}}


ROUTED = {"gateway": {"routing": {"finalProvider": "anthropic"}, "cost": "0.00045", "generationId": "gen_1"}}

GATEWAYS = (
    vercel(
        "cost beside the usage",
        {
            **completion("anthropic/claude-sonnet-4.6", PLAIN),
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "Hi", "provider_metadata": ROUTED},
                }
            ],
        },
        (100, 10),
        stated="0.00045",
        cost="stated",
    ),
    # The gateway's usage and its total leave out Gemini's thoughts. Google's own count has them, and they are billed.
    vercel(
        "what Google counted behind the gateway",
        {
            **completion("google/gemini-2.5-flash", {**thought_beside(40), "cost": 0.0002}),
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "Hi", "provider_metadata": GOOGLE_COUNTED},
                }
            ],
        },
        (20, 70),
        received={"reasoning": 40},
        model="google/gemini-2.5-flash",
        stated="0.0002",
        cost="stated",
    ),
    vercel(
        "what Google counted behind the gateway, streamed",
        sse(
            {"id": "1", "model": "google/gemini-2.5-flash", "choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            {
                "id": "1",
                "model": "google/gemini-2.5-flash",
                "choices": [
                    {"index": 0, "finish_reason": "stop", "delta": {"provider_metadata": GOOGLE_COUNTED}},
                ],
                "usage": {**thought_beside(40), "cost": 0.0002},
            },
            done=True,
        ),
        (20, 70),
        received={"reasoning": 40},
        model="google/gemini-2.5-flash",
        stated="0.0002",
        cost="stated",
    ),
    # Reasoning is counted by another tokenizer than the output: the cost of the completion is that of its own count.
    api(
        url=f"{OPENROUTER}/chat/completions",
        source="https://openrouter.ai/docs/use-cases/usage-accounting",
        flavour="openai-chat",
        provider="openrouter",
    )(
        "reasoning estimated as more than the output",
        completion("z-ai/glm-4.6", {**thought_beside(33), "cost": 0.0000735}),
        (20, 30),
        received={"reasoning": 33},
        model="z-ai/glm-4.6",
        stated="0.0000735",
        cost="stated",
    ),
    vercel(
        "a model that costs nothing",
        completion("inclusionai/ling-3.0-flash-free", {**PLAIN, "cost": 0, "is_byok": False}),
        (100, 10),
        model="inclusionai/ling-3.0-flash-free",
        stated="0",
        cost="stated",
    ),
    vercel(
        "cost of a response",
        response("openai/gpt-5.4", {**INPUT_OUTPUT, "total_tokens": 110}, providerMetadata=ROUTED),
        (100, 10),
        url="https://ai-gateway.vercel.sh/v1/responses",
        flavour="openai-responses",
        model="openai/gpt-5.4",
        stated="0.00045",
        cost="stated",
    ),
    api(
        url=f"{OPENROUTER}/messages",
        source="https://openrouter.ai/docs/api-reference/anthropic-messages",
        flavour="anthropic-messages",
        provider="openrouter",
    )(
        "cost of a message",
        message(
            {**INPUT_OUTPUT, "cost": 0.00042, "is_byok": False, "cost_details": {"upstream_inference_cost": None}},
            "anthropic/claude-sonnet-4.6",
        ),
        (100, 10),
        request=CLAUDE,
        model="anthropic/claude-sonnet-4.6",
        stated="0.00042",
        cost="stated",
    ),
    api(
        url=f"{OPENROUTER}/chat/completions",
        source="openrouter SDK: ServerToolUseDetails",
        flavour="openai-chat",
        provider="openrouter",
    )(
        "searches of its own tool",
        completion(
            "openai/gpt-5.4",
            {**PLAIN, "cost": 0.004, "server_tool_use_details": {"web_search_requests": 2, "tool_calls_requested": 2}},
        ),
        (100, 10),
        model="openai/gpt-5.4",
        items={"web_search": 2},
        stated="0.004",
        cost="stated",
    ),
    api(
        **{**CHAT, "source": "https://portkey.ai/docs/aigw"},
        url="https://aigw.portkey.ai/v1/chat/completions",
        provider="portkey",
    )(
        "Portkey's newer host",
        completion("gpt-4o-2024-08-06", PLAIN),
        (100, 10),
        request={"model": "@openai/gpt-4o", "messages": []},
        seller="openai",
        cost="100*2.5 + 10*10",
    ),
    *(
        api(
            url=f"https://gateway.ai.cloudflare.com/v1/mine/main/{path}",
            source="https://developers.cloudflare.com/ai-gateway/usage/providers/",
            flavour=flavour,
            provider="cloudflare",
            seller=seller,
            region="us-east-1" if seller == "amazon_bedrock" else "us-east5",
            request={"anthropic_version": "2023-06-01", "messages": []},
            model=model,
        )(f"a region in a path behind Cloudflare: {seller}", body, (100, 10), cost="100*3.3 + 10*16.5")
        for path, flavour, seller, model, body in (
            (
                "google-vertex-ai/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-6:rawPredict",
                "anthropic-messages",
                "google_vertexai",
                "claude-sonnet-4-6",
                message(INPUT_OUTPUT),
            ),
            (
                "aws-bedrock/bedrock-runtime/us-east-1/model/us.anthropic.claude-sonnet-4-6-v1:0/converse",
                "bedrock-converse",
                "amazon_bedrock",
                "us.anthropic.claude-sonnet-4-6-v1:0",
                {"output": {}, "stopReason": "end_turn", "usage": {"inputTokens": 100, "outputTokens": 10}},
            ),
        )
    ),
    api(
        url="https://api.ai.prod.eu-central-1.aws.ml.hana.ondemand.com/v2/inference/deployments/d1/v2/embeddings",
        source="https://api.sap.com/api/ORCHESTRATION_API_v2/overview",
        flavour="sap-embeddings",
        provider="sap",
    )(
        "embeddings",
        {
            "request_id": "r-1",
            "final_result": {
                "object": "list",
                "data": [{"object": "embedding", "embedding": [0.1], "index": 0}],
                "model": "text-embedding-3-small",
                "usage": {"prompt_tokens": 24, "total_tokens": 24},
            },
        },
        (24, 0),
        request={"config": {"modules": {"embeddings": {}}}, "input": {"text": "hi"}},
        model="text-embedding-3-small",
        cost="unpriced",
    ),
    api(
        url="https://api.ai.prod.eu-central-1.aws.ml.hana.ondemand.com/v2/inference/deployments/d1/v2/completion",
        source="https://api.sap.com/api/ORCHESTRATION_API_v2/overview",
        flavour="sap-orchestration",
        provider="sap",
    )(
        "orchestration",
        {
            "request_id": "r-1",
            "intermediate_results": {"templating": []},
            "final_result": completion("gpt-4o-2024-08-06", PLAIN),
        },
        (100, 10),
        request={"config": {}},
        model="gpt-4o-2024-08-06",
        cost="unpriced",
    ),
    api(
        url="https://api.inceptionlabs.ai/v1/chat/completions",
        source="https://docs.inceptionlabs.ai",
        flavour="openai-chat",
        provider="inception",
        model="mercury-2",
    )(
        "cached tokens and reasoning beside the counts",
        completion(
            "mercury-2",
            {
                "prompt_tokens": 300,
                "reasoning_tokens": 20,
                "completion_tokens": 40,
                "total_tokens": 360,
                "cached_input_tokens": 200,
            },
        ),
        (300, 60),
        sent={"cache_read": 200},
        received={"reasoning": 20},
        cost="unpriced",
    ),
    api(
        url=f"{OPENROUTER}/chat/completions",
        source="https://openrouter.ai/docs/features/multimodal/videos",
        flavour="openai-chat",
        provider="openrouter",
        model="google/gemini-2.5-flash",
    )(
        "a video",
        completion(
            "google/gemini-2.5-flash", {**tokens(300, 10, {"cached_tokens": 0, "video_tokens": 258}), "cost": 0.000115}
        ),
        (300, 10),
        sent={"cache_read": 0},
        billed=(300, 10, {"cache_read": 0, "video": 258}, {}),
        stated="0.000115",
        cost="stated",
    ),
    api(
        url="https://api.perplexity.ai/chat/completions",
        source="https://docs.perplexity.ai/docs/sonar/models/sonar-deep-research",
        flavour="openai-chat",
        provider="perplexity",
        model="sonar-deep-research",
    )(
        "reasoning and citations beside the output",
        completion(
            "sonar-deep-research",
            {
                "prompt_tokens": 33,
                "completion_tokens": 7_163,
                "total_tokens": 7_196,
                "citation_tokens": 20_016,
                "num_search_queries": 18,
                "reasoning_tokens": 73_995,
            },
        ),
        (33, 7_163),
        received={"reasoning": 73_995},
        billed=(33, 101_174, {}, {"reasoning": 73_995, "citation": 20_016}),
        items={"web_search": 18},
        cost="33*2 + 7163*8 + 20016*2 + 73995*3 + 18*5000",
    ),
)

# --- Others -----------------------------------------------------------------------------------------------------------

OTHERS = (
    api(
        url="https://api.llama.com/v1/chat/completions",
        source="https://llama.developer.meta.com/docs/api/chat",
        flavour="openai-chat",
        provider="meta",
    )(
        "Meta's list of numbers",
        {
            "id": "c-1",
            "completion_message": {"role": "assistant", "content": {"type": "text", "text": "Hi"}},
            "metrics": [
                {"metric": "num_completion_tokens", "value": 25, "unit": "tokens"},
                {"metric": "num_prompt_tokens", "value": 50, "unit": "tokens"},
                {"metric": "num_total_tokens", "value": 75, "unit": "tokens"},
            ],
        },
        (50, 25),
        request={"model": "Llama-4-Maverick-17B-128E-Instruct-FP8", "messages": []},
        model="Llama-4-Maverick-17B-128E-Instruct-FP8",
        cost="unpriced",
    ),
    api(
        url="https://api-atlas.nomic.ai/v1/embedding/text",
        source="https://docs.nomic.ai/reference/api/embed-text-v-1-embedding-text-post",
        flavour="openai-embeddings",
        provider="nomic",
    )(
        "Nomic",
        {
            "embeddings": [[0.1]],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
            "model": "nomic-embed-text-v1.5",
        },
        (4, 0),
        model="nomic-embed-text-v1.5",
        cost="unpriced",
    ),
    api(
        url="https://clovastudio.stream.ntruss.com/v3/chat-completions/HCX-005",
        source="https://api.ncloud-docs.com/docs/en/clovastudio-chatcompletionsv3",
        flavour="clova-chat",
        provider="naver",
        model="HCX-005",
    )(
        "chat",
        {
            "status": {"code": "20000", "message": "OK"},
            "result": {
                "message": {"role": "assistant", "content": "Hi"},
                "finishReason": "stop",
                "usage": {"promptTokens": 20, "completionTokens": 5, "totalTokens": 25},
            },
        },
        (20, 5),
        request={"messages": []},
        cost="unpriced",
    ),
    *(
        api(**CHAT, url=f"https://{host}/v1/chat/completions", provider=provider)(
            f"at {provider}", completion("gpt-4o-2024-08-06", PLAIN), (100, 10)
        )
        for provider, host in {
            "arcee": "api.arcee.ai",
            "avian": "api.avian.io",
            "chutes": "llm.chutes.ai",
            "cursor": "api.cursor.com",
            "doubleword": "api.doubleword.ai",
            "github-copilot": "api.githubcopilot.com",
            "mixedbread": "api.mixedbread.com",
            "modal": "mine.modal.run",
            "nscale": "inference.api.nscale.com",
            "ovhcloud": "oai.endpoints.kepler.ai.cloud.ovh.net",
            "quicksilverpro": "api.quicksilverpro.io",
            "sarvam": "api.sarvam.ai",
            "scaleway": "api.scaleway.ai",
            "typesafe": "api.typesafe.ai",
            "wandb": "api.inference.wandb.ai",
        }.items()
    ),
    *(
        api(
            url=f"https://api.meta.ai/v1/{path}",
            source="genai-prices: meta",
            flavour=flavour,
            provider="meta",
            model="muse-spark-1.3",
        )("Meta's own", body, (100, 10), cost="100*1.25 + 10*4.25")
        for path, flavour, body in (
            ("chat/completions", "openai-chat", completion("muse-spark-1.3", PLAIN)),
            ("responses", "openai-responses", response("muse-spark-1.3", {**INPUT_OUTPUT, "total_tokens": 110})),
        )
    ),
)


def framed(*lines, end):
    """A stream whose lines end in `end`."""
    return end.join(lines).encode()


FIRST = json.dumps({"id": "c-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06", "choices": []})
LAST = json.dumps({**json.loads(FIRST), "usage": PLAIN})
FRAMES = tuple(
    api(**CHAT, url=f"{OPENAI}/chat/completions", provider="openai", cost="100*2.5 + 10*10")(name, body, (100, 10))
    for name, body in (
        (
            "lines that end in a carriage return",
            framed(f"data: {FIRST}", "", f"data: {LAST}", "", "data: [DONE]", "", end="\r"),
        ),
        ("lines of Windows", framed(f"data: {FIRST}", "", f"data: {LAST}", "", "data: [DONE]", "", end="\r\n")),
        (
            "comments, retries and a byte order mark",
            b"\xef\xbb\xbf"
            + framed(
                ": wait",
                "",
                "retry: 100",
                "",
                f"data:{FIRST}",
                "",
                ": wait",
                f"data:{LAST}",
                "",
                "data:[DONE]",
                end="\n",
            ),
        ),
        (
            "one event over many lines",
            framed(
                f"data: {FIRST}",
                "",
                *(f"data: {line}" for line in json.dumps(json.loads(LAST), indent=1).split("\n")),
                "",
                "data: [DONE]",
                end="\n",
            ),
        ),
    )
)

ROWS = (*PICTURES, *SOUND, *PAGES, *MAKERS, *GATEWAYS, *OTHERS, *FRAMES)
