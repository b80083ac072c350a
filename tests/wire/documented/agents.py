"""Agents and applications that a provider runs: one answer, several requests to models; and work that only the request measures."""

from bodies import aws_stream, ndjson, sse

from documented.bedrock import NOVA, SONNET
from documented.openai import OPENAI, PRICES, completion, tokens
from documented.row import api

# --- Coze -------------------------------------------------------------------------------------------------------------

COZE = "https://api.coze.com"


def chat(status, token_count=0, output_count=0, input_count=0):
    return {
        "id": "7382159487131697202",
        "conversation_id": "7381473525342978089",
        "bot_id": "7379462189365198898",
        "created_at": 1_788_000_000,
        "last_error": {"code": 0, "msg": ""},
        "status": status,
        "usage": {"token_count": token_count, "output_count": output_count, "input_count": input_count},
    }


coze = api(
    url=f"{COZE}/v3/chat",
    source="cozepy SDK: Chat, ChatEventType",
    flavour="coze-chat",
    provider="coze",
    request={"bot_id": "7379462189365198898", "user_id": "u", "additional_messages": [], "stream": True},
    model="unknown",
)
COZE_STREAM = (
    ("conversation.chat.created", chat("created")),
    ("conversation.chat.in_progress", chat("in_progress")),
    ("conversation.message.delta", {"id": "1", "role": "assistant", "type": "answer", "content": "Hi"}),
)
COZE_ROWS = (
    coze(
        "stream",
        sse(*COZE_STREAM, ("conversation.chat.completed", chat("completed", 633, 19, 614)), ("done", "[DONE]")),
        (614, 19),
        cost="unpriced",
    ),
    coze(
        "stream that breaks off",
        sse(*COZE_STREAM),
        None,
        status="aborted",
        note="breaks off",
    ),
    coze(
        "failed",
        sse(("conversation.chat.failed", {**chat("failed"), "last_error": {"code": 5000, "msg": "internal error"}})),
        None,
        status="no_usage",
        note="the provider answered with an error: internal error",
    ),
    coze(
        "without a stream",
        {"code": 0, "msg": "", "data": chat("in_progress")},
        None,
        status="no_usage",
        note="states no usage",
        request={"bot_id": "7379462189365198898", "user_id": "u", "additional_messages": [], "stream": False},
    ),
    coze(
        "retrieved",
        {"code": 0, "msg": "", "data": chat("completed", 633, 19, 614)},
        (614, 19),
        url=f"{COZE}/v3/chat/retrieve?conversation_id=1&chat_id=2",
        kind="retrieve",
    ),
    coze(
        "results of tools",
        sse(("conversation.chat.completed", chat("completed", 115, 24, 91))),
        (91, 24),
        url="https://api.coze.cn/v3/chat/submit_tool_outputs?conversation_id=1&chat_id=2",
        request={"tool_outputs": [], "stream": True},
    ),
    coze(
        "workflow as a chat",
        sse(("conversation.chat.completed", chat("completed", 32, 11, 21)), ("done", {})),
        (21, 11),
        url=f"{COZE}/v1/workflows/chat",
        request={"workflow_id": "1", "additional_messages": []},
    ),
    coze(
        "plain",
        {"code": 0, "data": "{}", "usage": {"token_count": 98, "output_count": 8, "input_count": 90}, "msg": "Success"},
        (90, 8),
        url=f"{COZE}/v1/workflow/run",
        source="cozepy SDK: WorkflowRunResult",
        flavour="coze-workflow",
        request={"workflow_id": "1", "parameters": {}},
    ),
    coze(
        "stream",
        sse(
            ("Message", {"content": "Hi", "node_title": "Message", "node_seq_id": "0", "node_is_finish": True}),
            (
                "Message",
                {
                    "content": "{}",
                    "node_title": "End",
                    "node_seq_id": "0",
                    "node_is_finish": True,
                    "usage": {"token_count": 98, "output_count": 8, "input_count": 90},
                },
            ),
            ("Done", {}),
        ),
        (90, 8),
        url=f"{COZE}/v1/workflow/stream_run",
        source="cozepy SDK: WorkflowEventMessage",
        flavour="coze-workflow",
        request={"workflow_id": "1", "parameters": {}},
    ),
)

# --- Dify -------------------------------------------------------------------------------------------------------------

DIFY = "https://api.dify.ai/v1"
DIFY_USAGE = {
    "prompt_tokens": 1033,
    "prompt_unit_price": "0.001",
    "prompt_price_unit": "0.001",
    "prompt_price": "0.0010330",
    "completion_tokens": 128,
    "completion_unit_price": "0.002",
    "completion_price_unit": "0.001",
    "completion_price": "0.0002560",
    "total_tokens": 1161,
    "total_price": "0.0012890",
    "currency": "USD",
    "latency": 0.7682376249867957,
}


def answered(usage, event="message", **more):
    return {
        "event": event,
        "task_id": "c3800678",
        "id": "b01a39de",
        "message_id": "9da23599",
        "conversation_id": "45701982",
        "answer": "Hi",
        "metadata": {"usage": usage, "retriever_resources": []},
        "created_at": 1_788_000_000,
        **more,
    }


dify = api(
    url=f"{DIFY}/chat-messages",
    source="https://docs.dify.ai/api-reference/openapi_chat.json",
    flavour="dify-chat",
    provider="dify",
    request={"inputs": {}, "query": "hi", "response_mode": "blocking", "user": "u"},
    model="unknown",
)
DIFY_DATA = {"id": "fb47b2e6", "workflow_id": "7c3e33d4", "status": "succeeded", "total_tokens": 150, "total_steps": 3}
workflow = api(
    url=f"{DIFY}/workflows/run",
    source="https://docs.dify.ai/api-reference/openapi_workflow.json",
    flavour="dify-workflow",
    provider="dify",
    request={"inputs": {}, "response_mode": "streaming", "user": "u"},
    model="unknown",
)
DIFY_ROWS = (
    dify("blocking", answered(DIFY_USAGE, mode="chat"), (1_033, 128), stated="0.0012890", cost="stated"),
    dify(
        "stream",
        sse(
            {"event": "message", "message_id": "9da23599", "answer": "Hi"},
            answered(DIFY_USAGE, "message_end"),
        ),
        (1_033, 128),
        stated="0.0012890",
        cost="stated",
    ),
    dify(
        "agent's stream",
        sse(
            {"event": "agent_thought", "id": "1", "position": 1, "thought": "", "tool": "dalle3", "tool_input": "{}"},
            {"event": "agent_message", "message_id": "9da23599", "answer": "Hi"},
            answered(DIFY_USAGE, "message_end"),
        ),
        (1_033, 128),
        stated="0.0012890",
    ),
    dify(
        "another currency",
        answered({**DIFY_USAGE, "total_price": "0.0091", "currency": "RMB"}, mode="chat"),
        (1_033, 128),
        cost="unpriced",
    ),
    dify(
        "no price known to the server",
        answered({**DIFY_USAGE, "total_price": "0.0", "currency": "USD"}, mode="chat"),
        (1_033, 128),
        cost="unpriced",
    ),
    dify(
        "total alone",
        sse(answered({"total_tokens": 10, "latency": 1.0}, "message_end")),
        (0, 0, 10),
        cost="unpriced",
    ),
    dify(
        "error in a stream",
        sse(
            {"event": "message", "message_id": "9da23599", "answer": "Hi"},
            {"event": "error", "status": 400, "code": "completion_request_error", "message": "failed"},
        ),
        None,
        status="aborted",
        note="breaks off",
    ),
    dify(
        "text generator",
        answered(DIFY_USAGE, mode="completion"),
        (1_033, 128),
        url=f"{DIFY}/completion-messages",
        source="https://docs.dify.ai/api-reference/openapi_completion.json",
        stated="0.0012890",
        cost="stated",
    ),
    dify(
        "one's own server",
        answered(DIFY_USAGE, mode="chat"),
        (1_033, 128),
        url="https://dify.example.com/v1/chat-messages",
        provider=None,
        stated="0.0012890",
        cost="stated",
    ),
    workflow(
        "blocking",
        {"task_id": "c3800678", "workflow_run_id": "fb47b2e6", "data": DIFY_DATA},
        (0, 0, 150),
        cost="unpriced",
    ),
    workflow(
        "stream",
        sse(
            {"event": "workflow_started", "workflow_run_id": "fb47b2e6", "data": {"id": "fb47b2e6", "inputs": {}}},
            {
                "event": "node_finished",
                "data": {"id": "n", "node_type": "llm", "execution_metadata": {"total_tokens": 150}},
            },
            {"event": "workflow_finished", "workflow_run_id": "fb47b2e6", "data": DIFY_DATA},
        ),
        (0, 0, 150),
    ),
)

# --- Agents of Bedrock ------------------------------------------------------------------------------------------------

AGENT = "https://bedrock-agent-runtime.us-east-1.amazonaws.com"


def asked(trace_id, model, step="orchestrationTrace"):
    told = {"traceId": trace_id, "type": step.removesuffix("Trace").upper(), "foundationModel": model, "text": "{}"}
    return "trace", {"agentId": "A", "sessionId": "s", "trace": {step: {"modelInvocationInput": told}}}


def used(trace_id, sent, received, step="orchestrationTrace"):
    told = {
        "traceId": trace_id,
        "metadata": {"usage": {"inputTokens": sent, "outputTokens": received}, "totalTimeMs": 900},
        "rawResponse": {"content": "Hi"},
    }
    return "trace", {"agentId": "A", "sessionId": "s", "trace": {step: {"modelInvocationOutput": told}}}


agent = api(
    url=f"{AGENT}/agents/A/agentAliases/B/sessions/s/text",
    source="botocore, bedrock-agent-runtime: TracePart, Metadata",
    flavour="bedrock-agents",
    provider="amazon_bedrock",
    request={"inputText": "hi", "enableTrace": True},
    region="us-east-1",
    model="unknown",
)
CHUNK = ("chunk", {"text": "Hi"})
AGENT_ROWS = (
    agent(
        "two requests",
        aws_stream(asked("1", NOVA), used("1", 1_000, 50), asked("2", NOVA), used("2", 1_200, 60), CHUNK),
        (2_200, 110),
        parts=(("request", NOVA, 1_000, 50), ("request", NOVA, 1_200, 60)),
        cost="2200*0.06 + 110*0.24",
    ),
    agent(
        "collaborators at the same time, with models of their own",
        aws_stream(
            asked("1", NOVA, "routingClassifierTrace"),
            used("1", 100, 5, "routingClassifierTrace"),
            asked("2", SONNET),
            asked("3", NOVA),
            used("3", 200, 20),
            used("2", 1_000, 50),
            CHUNK,
        ),
        (1_300, 75),
        parts=(("request", NOVA, 100, 5), ("request", NOVA, 200, 20), ("request", SONNET, 1_000, 50)),
        # Claude by a profile of the US costs a tenth more than by the global one.
        cost="300*0.06 + 25*0.24 + 1000*3.3 + 50*16.5",
    ),
    agent(
        "one request whose model is not told",
        aws_stream(used("1", 1_000, 50, "preProcessingTrace"), CHUNK),
        (1_000, 50),
        cost="unpriced",
    ),
    agent(
        "without a trace",
        aws_stream(CHUNK),
        None,
        request={"inputText": "hi"},
        status="no_usage",
        note="states no usage",
    ),
    agent(
        "inline",
        aws_stream(asked("1", NOVA), used("1", 1_000, 50), CHUNK),
        (1_000, 50),
        url=f"{AGENT}/agents/s",
        flavour="bedrock-inline-agents",
        request={"foundationModel": NOVA, "instruction": "Be kind.", "inputText": "hi", "enableTrace": True},
        model=NOVA,
        parts=(("request", NOVA, 1_000, 50),),
        cost="1000*0.06 + 50*0.24",
    ),
    agent(
        "answer from a knowledge base",
        {"sessionId": "s", "output": {"text": "Hi"}, "citations": []},
        None,
        url=f"{AGENT}/retrieveAndGenerate",
        source="botocore, bedrock-agent-runtime: RetrieveAndGenerateResponse",
        flavour="bedrock-knowledge-bases",
        request={"input": {"text": "hi"}, "retrieveAndGenerateConfiguration": {}},
        status="no_usage",
        note="states no usage",
    ),
    agent(
        "the same as a stream",
        aws_stream(("output", {"text": "Hi"})),
        None,
        url=f"{AGENT}/retrieveAndGenerateStream",
        source="botocore, bedrock-agent-runtime: RetrieveAndGenerateStreamResponseOutput",
        flavour="bedrock-knowledge-bases",
        request={"input": {"text": "hi"}, "retrieveAndGenerateConfiguration": {}},
        status="no_usage",
        note="states no usage",
    ),
)

# --- Videos, and embeddings in a batch --------------------------------------------------------------------------------

GEMINI = "https://generativelanguage.googleapis.com/v1beta"
veo = api(
    url=f"{GEMINI}/models/veo-3.1-generate-preview:predictLongRunning",
    source="google-genai SDK: GenerateVideosConfig",
    flavour="google-videos",
    provider="google_genai",
    model="veo-3.1-generate-preview",
    billed=(0, 0, {}, {}),
    status="no_usage",
    note="states no usage",
)
OPERATION = {"name": "models/veo-3.1-generate-preview/operations/1"}


def video(**parameters):
    return {"instances": [{"prompt": "a cat"}], "parameters": parameters}


def embedded(*token_counts, name="response"):
    answers = [{"response": {"embedding": {"values": [0.1]}, "tokenCount": n}} for n in token_counts]
    return {
        "name": "batches/1",
        "metadata": {"model": "models/gemini-embedding-001", "state": "BATCH_STATE_SUCCEEDED"},
        name: {"inlinedEmbedContentResponses": {"inlinedResponses": answers}},
    }


embeddings = api(
    url=f"{GEMINI}/batches/1",
    source="google-genai SDK: SingleEmbedContentResponse",
    flavour="gemini-batch-results",
    provider="google_genai",
    method="GET",
    kind="batch-results",
    model="models/gemini-embedding-001",
    tier="batch",
)


def line(model, prompt_tokens):
    body = {"object": "list", "model": model, "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}]}
    body["usage"] = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
    return {"id": "batch_req_1", "custom_id": "1", "response": {"status_code": 200, "request_id": "r", "body": body}}


SMALL, LARGE = "text-embedding-3-small", "text-embedding-3-large"
OTHER_ROWS = (
    veo("seconds", OPERATION, None, request=video(durationSeconds=8), items={"video_second": 8}, cost="unpriced"),
    veo(
        "several videos",
        OPERATION,
        None,
        request=video(durationSeconds="6", sampleCount=2),
        items={"video_second": 12},
    ),
    veo("seconds unsaid", OPERATION, None, request=video(aspectRatio="16:9"), billed=None, cost="unpriced"),
    embeddings(
        "embeddings",
        embedded("1000", "500"),
        (1_500, 0),
        parts=(
            ("request", "models/gemini-embedding-001", 1_000, 0),
            ("request", "models/gemini-embedding-001", 500, 0),
        ),
        cost="1500*0.075",
    ),
    api(
        url=f"{OPENAI}/files/file-1/content",
        source="openai SDK: CreateEmbeddingResponse; https://developers.openai.com/api/docs/guides/batch",
        flavour="openai-batch-results",
        provider="openai",
        method="GET",
        kind="batch-results",
        model=SMALL,
        tier="batch",
    )(
        "embeddings of two models",
        ndjson(line(SMALL, 1_000), line(LARGE, 500)),
        (1_500, 0),
        parts=(("request", SMALL, 1_000, 0), ("request", LARGE, 500, 0)),
        cost="1000*0.01 + 500*0.065",
    ),
    api(
        url=f"{OPENAI}/chat/completions",
        source=PRICES,
        flavour="openai-chat",
        provider="openai",
        request={"model": "gpt-5-search-api", "messages": []},
        model="gpt-5-search-api-2025-10-14",
    )(
        "dated search model",
        completion("gpt-5-search-api-2025-10-14", tokens(1_000, 50)),
        (1_000, 50),
        cost="1000*1.25 + 50*10 + 10000",
    ),
)

ROWS = (*COZE_ROWS, *DIFY_ROWS, *AGENT_ROWS, *OTHER_ROWS)
