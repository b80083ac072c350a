"""Every public cassette replays, through a client that knows nothing of where it came from."""

import re

import httpx
import pytest
from corpus import ROOT, needs_corpus
from provider_server import refuse

from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette, storage
from pytest_llm_usage.cassettes.content import decoded
from pytest_llm_usage.credentials.placeholders import is_placeholder

FILES = sorted([*ROOT.glob("corpus*/**/*.yaml"), *ROOT.glob("langchain-columnar/*.gz")])


@pytest.fixture(scope="module")
def client():
    with httpx.Client() as client:
        yield client


def real_url(uri):
    """A URL that the recording may have been made of: what was taken out is filled in."""
    if is_placeholder(uri):
        return "https://api.provider.test/v1/anything"
    return re.sub(r"<\w+>", "filled-in" if "://" in uri else "https://api.provider.test/v1", uri)


@needs_corpus
@pytest.mark.parametrize(
    "folder", sorted({file.parent for file in FILES}), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_public_cassette_replays(folder, client):
    for file in (file for file in FILES if file.parent == folder):
        recorded = storage.load(file)
        seen = []
        before = file.read_bytes()
        opened = OpenCassette(CassettePolicy(path=file), observe=seen.append, fail=refuse)
        with opened:
            for interaction in recorded:
                request, response = interaction.request, interaction.response
                kept = ("content-type", "content-encoding")
                headers = {
                    name: values[0]
                    for name, values in request.headers.items()
                    if name.lower() in kept and not is_placeholder(values[0])
                }
                answer = client.request(request.method, real_url(request.uri), content=request.body, headers=headers)
                assert answer.status_code == response.status, file
                assert answer.content == decoded(response.headers, response.body), file
        opened.close(save=True)
        assert len(seen) == len(recorded)
        assert opened.unplayed == []
        assert file.read_bytes() == before
