"""An agent that looks things up in Wikipedia before it answers."""

import requests
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

WIKIPEDIA = "https://en.wikipedia.org"


@tool
def wikipedia(query: str) -> str:
    """Look something up in Wikipedia: the title and the first paragraphs of the article that fits the query best."""
    search = requests.get(f"{WIKIPEDIA}/w/rest.php/v1/search/page", params={"q": query, "limit": 1}, timeout=10)
    search.raise_for_status()
    pages = search.json()["pages"]
    if not pages:
        return "No article was found."
    summary = requests.get(f"{WIKIPEDIA}/api/rest_v1/page/summary/{pages[0]['key']}", timeout=10)
    summary.raise_for_status()
    article = summary.json()
    return f"{article['title']}\n\n{article['extract']}"


agent = create_agent(
    # In a stream, OpenAI counts tokens only when asked to: stream_usage=True.
    ChatOpenAI(model="gpt-4-turbo-2024-04-09", temperature=0, streaming=True, stream_usage=True),
    tools=[wikipedia],
    system_prompt="You answer questions about birds. Look every fact up in Wikipedia first, one thing at a time.",
)


def ask(question: str) -> str:
    """The agent's answer to `question`."""
    return agent.invoke({"messages": [("user", question)]})["messages"][-1].text
