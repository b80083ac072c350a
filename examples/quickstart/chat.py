"""Two small features of an application: a joke in one piece, a translation as a stream."""

from collections.abc import Iterator

from langchain_openai import ChatOpenAI

joker = ChatOpenAI(model="gpt-4-turbo-2024-04-09", temperature=0)
translator = ChatOpenAI(model="gpt-4o-mini-2024-07-18", temperature=0, stream_usage=True)


def joke() -> str:
    """A joke, in one piece."""
    return joker.invoke("Tell me a joke").text


def translate(sentence: str, language: str) -> Iterator[str]:
    """`sentence` in `language`, piece by piece."""
    for chunk in translator.stream([("system", f"Translate into {language}."), ("user", sentence)]):
        yield chunk.text
