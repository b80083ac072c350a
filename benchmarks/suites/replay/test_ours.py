import pytest
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="gpt-4o-mini-2024-07-18", stream_usage=True)


@pytest.mark.llm_cassette("stream")
def test_replay(llm_usage):
    for _ in model.stream("Tell me a long story"):
        pass
    assert llm_usage.total_tokens == 75
