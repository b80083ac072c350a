"""A help desk: sort a message into a queue, then draft the reply."""

from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

model = ChatOpenAI(model="gpt-4o-mini-2024-07-18", temperature=0)


class Ticket(BaseModel):
    """Where a customer's message belongs."""

    queue: str = Field(description="billing, shipping or other")
    is_urgent: bool = Field(description="whether the customer cannot wait until tomorrow")


def sort(message: str) -> Ticket:
    """The queue that `message` belongs to."""
    return model.with_structured_output(Ticket, method="function_calling").invoke(message)


def draft(message: str) -> str:
    """A draft of the reply to `message`."""
    return model.invoke([("system", "Reply to the customer in two sentences."), ("user", message)]).text
