import pytest
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="gpt-4o-mini-2024-07-18", stream_usage=True)


@pytest.mark.vcr
@pytest.mark.default_cassette("stream.yaml")
def test_replay():
    with get_usage_metadata_callback() as callback:
        for _ in model.stream("Tell me a long story"):
            pass
    assert callback.usage_metadata["gpt-4o-mini-2024-07-18"]["total_tokens"] == 75
