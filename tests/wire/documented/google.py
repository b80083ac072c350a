"""Google: Gemini by its own API and by Vertex, Interactions, embeddings, pictures, videos, batches."""

from bodies import ndjson, sse

from documented.row import api

GENERATE = "https://ai.google.dev/api/generate-content"
GEMINI = "https://generativelanguage.googleapis.com/v1beta"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1"
FLASH, PRO = "gemini-2.5-flash", "gemini-2.5-pro"


def answer(model, usage, **candidate):
    return {
        "candidates": [
            {"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP", "index": 0, **candidate}
        ],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": "r-1",
    }


def used(sent, received, total=None, **more):
    return {
        "promptTokenCount": sent,
        "candidatesTokenCount": received,
        "totalTokenCount": total or sent + received,
        **more,
    }


def by_modality(**counts):
    return [{"modality": name.upper(), "tokenCount": n} for name, n in counts.items()]


def gemini(model, **more):
    common = {
        "url": f"{GEMINI}/models/{model}:generateContent",
        "source": GENERATE,
        "flavour": "gemini-generateContent",
    }
    common |= {"provider": "google_genai", "request": {"contents": []}, "model": model}
    return api(**{**common, **more})


flash, pro = gemini(FLASH), gemini(PRO)


def interactions(**more):
    common = {
        "url": f"{GEMINI}/interactions",
        "source": "google-genai SDK: interactions.Usage",
        "flavour": "gemini-interactions",
    }
    return api(
        **{**common, "provider": "google_genai", "request": {"model": FLASH, "input": "hi"}, "model": FLASH, **more}
    )


def interaction(model, usage, **more):
    return {
        "id": "v1_1",
        "object": "interaction",
        "model": model,
        "status": "completed",
        "outputs": [],
        "usage": usage,
        **more,
    }


interact = interactions()
VERTEX_INTERACT = interactions(
    url="https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/interactions",
    provider="google_vertexai",
    region="global",
)

ROWS = (
    flash(
        "plain", answer(FLASH, used(10, 20, promptTokensDetails=by_modality(text=10))), (10, 20), cost="10*0.3 + 20*2.5"
    ),
    flash(
        "thinking",
        answer(FLASH, used(10, 20, 150, thoughtsTokenCount=120)),
        (10, 140),
        received={"reasoning": 120},
        cost="10*0.3 + 140*2.5",
        source="https://ai.google.dev/gemini-api/docs/thinking",
    ),
    flash(
        "nothing but thoughts",
        answer(FLASH, {"promptTokenCount": 10, "thoughtsTokenCount": 90, "totalTokenCount": 100}),
        (10, 90),
        received={"reasoning": 90},
        cost="10*0.3 + 90*2.5",
    ),
    flash(
        "cached content",
        answer(FLASH, used(1000, 20, cachedContentTokenCount=800, cacheTokensDetails=by_modality(text=800))),
        (1000, 20),
        sent={"cache_read": 800},
        billed=(1000, 20, {"cache_read": 800, "cache_read_text": 800}, {}),
        cost="200*0.3 + 800*0.03 + 20*2.5",
        source="https://ai.google.dev/gemini-api/docs/caching",
    ),
    flash(
        "audio",
        answer(FLASH, used(120, 20, promptTokensDetails=by_modality(text=20, audio=100))),
        (120, 20),
        sent={"audio": 100},
        cost="20*0.3 + 100*1 + 20*2.5",
        source="https://ai.google.dev/gemini-api/docs/audio",
    ),
    flash(
        "picture and video",
        answer(FLASH, used(600, 20, promptTokensDetails=by_modality(text=20, image=258, video=322))),
        (600, 20),
        billed=(600, 20, {"image": 258, "video": 322}, {}),
        cost="600*0.3 + 20*2.5",
        source="https://ai.google.dev/gemini-api/docs/tokens",
    ),
    flash(
        "what tools gave to read",
        answer(FLASH, used(10, 20, 80, toolUsePromptTokenCount=50)),
        (60, 20),
        cost="60*0.3 + 20*2.5",
        source="https://ai.google.dev/gemini-api/docs/url-context",
    ),
    flash(
        "searches",
        answer(
            FLASH,
            used(10, 20),
            groundingMetadata={"webSearchQueries": ["a", "b"], "groundingChunks": [{"web": {"uri": "u"}}]},
        ),
        (10, 20),
        items={"web_search": 2},
        source="https://ai.google.dev/gemini-api/docs/google-search",
    ),
    flash(
        "maps",
        answer(FLASH, used(10, 20), groundingMetadata={"groundingChunks": [{"maps": {"placeId": "p"}}]}),
        (10, 20),
        items={"map_search": 1},
        source="https://ai.google.dev/gemini-api/docs/maps-grounding",
    ),
    flash(
        "blocked prompt",
        {
            "promptFeedback": {"blockReason": "SAFETY"},
            "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 10},
            "modelVersion": FLASH,
        },
        (10, 0),
        cost="10*0.3",
    ),
    flash("tier in the usage", answer(FLASH, used(10, 20, serviceTier="PRIORITY")), (10, 20), tier="PRIORITY"),
    flash(
        "tier in a header",
        answer(FLASH, used(10, 20)),
        (10, 20),
        response_headers={"x-gemini-service-tier": "flex"},
        tier="flex",
    ),
    gemini(FLASH, url=f"{GEMINI}/models/{FLASH}:streamGenerateContent?alt=sse")(
        "stream", sse(answer(FLASH, used(10, 4)), answer(FLASH, used(10, 20))), (10, 20), cost="10*0.3 + 20*2.5"
    ),
    gemini(FLASH, url=f"{GEMINI}/models/{FLASH}:streamGenerateContent")(
        "stream as an array",
        [answer(FLASH, used(10, 4)), answer(FLASH, used(10, 20))],
        (10, 20),
        cost="10*0.3 + 20*2.5",
    ),
    pro("plain, Pro", answer(PRO, used(100, 20)), (100, 20), cost="100*1.25 + 20*10"),
    pro(
        "long context",
        answer(PRO, used(250_000, 20)),
        (250_000, 20),
        cost="250000*2.5 + 20*15",
        source="https://ai.google.dev/gemini-api/docs/pricing",
    ),
    gemini("gemini-2.5-flash-image")(
        "a picture comes out",
        answer("gemini-2.5-flash-image", used(10, 1290, candidatesTokensDetails=by_modality(image=1290))),
        (10, 1290),
        billed=(10, 1290, {}, {"image": 1290}),
        cost="10*0.3 + 1290*30",
        source="https://ai.google.dev/gemini-api/docs/image-generation",
    ),
    gemini("gemini-2.5-flash-preview-tts")(
        "speech comes out",
        answer("gemini-2.5-flash-preview-tts", used(10, 50, candidatesTokensDetails=by_modality(audio=50))),
        (10, 50),
        received={"audio": 50},
        source="https://ai.google.dev/gemini-api/docs/speech-generation",
    ),
    # --- Vertex
    gemini(
        FLASH,
        url=f"{VERTEX}/publishers/google/models/{FLASH}:generateContent",
        provider="google_vertexai",
        region="us-central1",
    )("Vertex", answer(FLASH, used(10, 20, trafficType="ON_DEMAND")), (10, 20), tier="ON_DEMAND"),
    gemini(
        FLASH,
        url=f"https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/{FLASH}:generateContent",
        provider="google_vertexai",
        region="global",
    )("Vertex, global", answer(FLASH, used(10, 20)), (10, 20), cost="10*0.3 + 20*2.5"),
    gemini(
        FLASH,
        url=f"https://aiplatform.googleapis.com/v1/publishers/google/models/{FLASH}:generateContent?key=k",
        provider="google_vertexai",
    )("Vertex, express", answer(FLASH, used(10, 20)), (10, 20), cost="10*0.3 + 20*2.5"),
    gemini(
        FLASH,
        url=f"https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/google/models/{FLASH}:generateContent",
        provider="google_vertexai",
        region="eu",
    )("Vertex, several regions", answer(FLASH, used(10, 20)), (10, 20)),
    gemini("123", url=f"{VERTEX}/endpoints/123:generateContent", provider="google_vertexai", region="us-central1")(
        "Vertex, a tuned model", {k: v for k, v in answer("", used(10, 20)).items() if k != "modelVersion"}, (10, 20)
    ),
    api(
        url=f"{VERTEX}/endpoints/openapi/chat/completions",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/start/openai",
        flavour="openai-chat",
        provider="google_vertexai",
    )(
        "Vertex by OpenAI's API",
        {
            "id": "1",
            "object": "chat.completion",
            "model": f"google/{FLASH}",
            "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
        },
        (10, 20),
        model=f"google/{FLASH}",
        region="us-central1",
    ),
    api(
        url=f"{VERTEX}/endpoints/openapi/chat/completions",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/llama",
        flavour="openai-chat",
        provider="google_vertexai",
    )(
        "Llama on Vertex",
        {
            "id": "1",
            "object": "chat.completion",
            "model": "meta/llama-3.3-70b-instruct-maas",
            "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
        },
        (10, 20),
        model="meta/llama-3.3-70b-instruct-maas",
        region="us-central1",
    ),
    api(
        url=f"{VERTEX}/endpoints/987/chat/completions",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/migrate/openai/overview",
        flavour="openai-chat",
        provider="google_vertexai",
    )(
        "an endpoint of one's own",
        {
            "id": "1",
            "object": "chat.completion",
            "model": "",
            "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
        },
        (10, 20),
        region="us-central1",
    ),
    *(
        api(
            url=f"{VERTEX}/publishers/{maker}/models/{model}:rawPredict",
            source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/use-partner-models",
            flavour="openai-chat",
            provider="google_vertexai",
        )(
            f"{maker} on Vertex",
            {
                "id": "1",
                "object": "chat.completion",
                "choices": [],
                "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
            },
            (10, 20),
            request={"messages": []},
            model=model,
            region="us-central1",
        )
        for maker, model in (("mistralai", "mistral-medium-3"), ("ai21", "jamba-1.5-large@001"), ("xai", "grok-4"))
    ),
    api(
        url=f"{GEMINI}/openai/chat/completions",
        source="https://ai.google.dev/gemini-api/docs/openai",
        flavour="openai-chat",
        provider="google_genai",
    )(
        "Gemini by OpenAI's API",
        {
            "object": "chat.completion",
            "model": FLASH,
            "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
        },
        (10, 20),
        model=FLASH,
        cost="10*0.3 + 20*2.5",
    ),
    api(
        url=f"{GEMINI}/openai/embeddings",
        source="https://ai.google.dev/gemini-api/docs/openai",
        flavour="openai-embeddings",
        provider="google_genai",
    )(
        "embedding by OpenAI's API",
        {
            "object": "list",
            "model": "gemini-embedding-001",
            "data": [],
            "usage": {"prompt_tokens": 10, "total_tokens": 10},
        },
        (10, 0),
        model="gemini-embedding-001",
        cost="10*0.15",
    ),
    api(
        url=f"{VERTEX}/endpoints/987:predict",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/open-models/vllm/use-vllm",
        flavour="vertex-endpoint",
        provider="google_vertexai",
    )(
        "an endpoint of one's own, asked to predict",
        {
            "deployedModelId": "1",
            "predictions": {
                "id": "c-1",
                "object": "chat.completion",
                "model": "llama-3",
                "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
            },
        },
        (10, 20),
        request={"instances": [{"@requestFormat": "chatCompletions", "messages": []}]},
        model="llama-3",
        region="us-central1",
    ),
    # --- embeddings, pictures, videos
    api(
        url=f"{GEMINI}/models/gemini-embedding-2:embedContent",
        source="https://ai.google.dev/api/embeddings#EmbeddingUsageMetadata",
        flavour="gemini-embed",
        provider="google_genai",
    )(
        "embedding",
        {
            "embedding": {"values": [0.1]},
            "usageMetadata": {"promptTokenCount": 9, "promptTokenDetails": by_modality(text=9)},
        },
        (9, 0),
        request={"content": {}},
        model="gemini-embedding-2",
    ),
    api(
        url=f"{GEMINI}/models/gemini-embedding-001:batchEmbedContents",
        source="https://ai.google.dev/api/embeddings",
        flavour="gemini-embed",
        provider="google_genai",
    )(
        "embedding without usage",
        {"embeddings": [{"values": [0.1]}]},
        None,
        request={"requests": []},
        model="gemini-embedding-001",
        status="no_usage",
        note="the response states no usage",
    ),
    api(
        url=f"{VERTEX}/publishers/google/models/text-embedding-005:predict",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api",
        flavour="vertex-predict",
        provider="google_vertexai",
    )(
        "embeddings of Vertex",
        {
            "predictions": [
                {"embeddings": {"values": [0.1], "statistics": {"token_count": 6, "truncated": False}}},
                {"embeddings": {"statistics": {"token_count": 4}}},
            ]
        },
        (10, 0),
        request={"instances": []},
        model="text-embedding-005",
        region="us-central1",
    ),
    api(
        url=f"{VERTEX}/publishers/google/models/imagen-4.0-generate-001:predict",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api",
        flavour="vertex-predict",
        provider="google_vertexai",
    )(
        "pictures of Imagen",
        {
            "predictions": [
                {"bytesBase64Encoded": "", "mimeType": "image/png"},
                {"bytesBase64Encoded": "", "mimeType": "image/png"},
            ]
        },
        (0, 0),
        request={"instances": [], "parameters": {}},
        model="imagen-4.0-generate-001",
        region="us-central1",
        items={"image": 2},
        cost="unpriced",
    ),
    api(
        url=f"{GEMINI}/models/veo-3.1-generate-preview:predictLongRunning",
        source="https://ai.google.dev/gemini-api/docs/video",
        flavour="google-videos",
        provider="google_genai",
    )(
        "video of Veo",
        {"name": "models/veo-3.1-generate-preview/operations/1"},
        None,
        request={"instances": []},
        model="veo-3.1-generate-preview",
        status="no_usage",
        note="the response states no usage",
        cost="unpriced",
    ),
    # --- Interactions
    interact(
        "plain",
        interaction(FLASH, {"total_input_tokens": 10, "total_output_tokens": 20, "total_tokens": 30}),
        (10, 20),
        cost="10*0.3 + 20*2.5",
    ),
    interact(
        "thoughts, tools and a cache",
        interaction(
            FLASH,
            {
                "total_input_tokens": 1000,
                "total_cached_tokens": 800,
                "cached_tokens_by_modality": [{"modality": "text", "tokens": 800}],
                "total_tool_use_tokens": 50,
                "total_output_tokens": 20,
                "total_thought_tokens": 30,
                "total_tokens": 1100,
            },
        ),
        (1050, 50),
        sent={"cache_read": 800},
        received={"reasoning": 30},
        billed=(1050, 50, {"cache_read": 800, "cache_read_text": 800}, {"reasoning": 30}),
        cost="250*0.3 + 800*0.03 + 50*2.5",
    ),
    interact(
        "searches and maps",
        interaction(
            FLASH,
            {
                "total_input_tokens": 10,
                "total_output_tokens": 20,
                "total_tokens": 30,
                "grounding_tool_count": [{"type": "google_search", "count": 2}, {"type": "google_maps", "count": 1}],
            },
        ),
        (10, 20),
        items={"web_search": 2, "map_search": 1},
    ),
    interact(
        "audio",
        interaction(
            FLASH,
            {
                "total_input_tokens": 110,
                "input_tokens_by_modality": [{"modality": "text", "tokens": 10}, {"modality": "audio", "tokens": 100}],
                "total_output_tokens": 20,
                "total_tokens": 130,
            },
        ),
        (110, 20),
        sent={"audio": 100},
        cost="10*0.3 + 100*1 + 20*2.5",
    ),
    interactions(model="gemini-3-pro-image-preview")(
        "a picture comes out",
        interaction(
            "gemini-3-pro-image-preview",
            {
                "total_input_tokens": 10,
                "total_output_tokens": 1120,
                "output_tokens_by_modality": [{"modality": "image", "tokens": 1120}],
                "total_tokens": 1130,
            },
        ),
        (10, 1120),
        billed=(10, 1120, {}, {"image": 1120}),
        cost="10*2 + 1120*120",
    ),
    interact(
        "stream",
        sse(
            (
                "interaction.start",
                {
                    "event_type": "interaction.start",
                    "interaction": {"id": "v1_1", "status": "in_progress", "model": FLASH},
                },
            ),
            ("content.delta", {"event_type": "content.delta", "index": 0, "delta": {"text": "Hi", "type": "text"}}),
            (
                "interaction.complete",
                {
                    "event_type": "interaction.complete",
                    "interaction": interaction(
                        FLASH, {"total_input_tokens": 10, "total_output_tokens": 20, "total_tokens": 30}
                    ),
                },
            ),
            done=True,
        ),
        (10, 20),
        cost="10*0.3 + 20*2.5",
    ),
    interactions(url=f"{GEMINI}/interactions/v1_1", method="GET", kind="retrieve")(
        "fetched",
        interaction(FLASH, {"total_input_tokens": 10, "total_output_tokens": 20, "total_tokens": 30}),
        (10, 20),
    ),
    VERTEX_INTERACT(
        "Vertex, camel case",
        interaction(
            FLASH,
            {
                "totalInputTokens": 110,
                "inputTokensByModality": [{"modality": "TEXT", "tokens": 10}, {"modality": "AUDIO", "tokens": 100}],
                "totalCachedTokens": 0,
                "totalOutputTokens": 20,
                "totalThoughtTokens": 5,
                "totalTokens": 135,
                "groundingToolCount": [{"type": "GOOGLE_SEARCH", "count": 1}],
            },
        ),
        (110, 25),
        sent={"audio": 100, "cache_read": 0},
        received={"reasoning": 5},
        items={"web_search": 1},
    ),
    # --- batches
    api(
        url=f"{GEMINI}/batches/1",
        source="https://ai.google.dev/gemini-api/docs/batch-api",
        flavour="gemini-batch-results",
        provider="google_genai",
    )(
        "batch",
        {
            "name": "batches/1",
            "metadata": {"model": f"models/{FLASH}", "state": "BATCH_STATE_SUCCEEDED"},
            "done": True,
            "response": {
                "inlinedResponses": {
                    "inlinedResponses": [
                        {"response": answer(FLASH, used(10, 20))},
                        {"response": answer(FLASH, used(30, 5))},
                    ]
                }
            },
        },
        (40, 25),
        method="GET",
        kind="batch-results",
        model=FLASH,
        tier="batch",
        parts=(("request", FLASH, 10, 20), ("request", FLASH, 30, 5)),
        cost="40*0.15 + 25*1.25",
    ),
    api(
        url="https://generativelanguage.googleapis.com/download/v1beta/files/batch-1:download?alt=media",
        source="https://ai.google.dev/gemini-api/docs/batch-api",
        flavour="gemini-batch-results",
        provider="google_genai",
    )(
        "batch as a file",
        ndjson(
            {"key": "1", "response": answer(FLASH, used(10, 20))}, {"key": "2", "response": answer(FLASH, used(30, 5))}
        ),
        (40, 25),
        method="GET",
        kind="batch-results",
        model=FLASH,
        tier="batch",
        parts=(("request", FLASH, 10, 20), ("request", FLASH, 30, 5)),
        cost="40*0.15 + 25*1.25",
    ),
)
