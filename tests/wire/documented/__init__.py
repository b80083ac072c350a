"""What providers document: a table of responses, each written by hand from the page or the SDK that it names.

A row is a request, the response that the documentation describes, and everything that must be read of it. What a row does
not mention must not be there: no item, no detail, no seller. `cost` is the arithmetic of the bill, see `Row`.
"""

from documented import (
    agents,
    anthropic,
    aside,
    bedrock,
    compatible,
    edges,
    edges_hosts,
    edges_others,
    further,
    gateways,
    google,
    local,
    openai,
    others,
)

ROWS = (
    *openai.ROWS,
    *anthropic.ROWS,
    *google.ROWS,
    *bedrock.ROWS,
    *compatible.ROWS,
    *local.ROWS,
    *others.ROWS,
    *further.ROWS,
    *gateways.ROWS,
    *agents.ROWS,
    *aside.ROWS,
    *edges.ROWS,
    *edges_others.ROWS,
    *edges_hosts.ROWS,
)
