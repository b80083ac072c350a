"""What the bytes of a body are."""

import gzip

import pytest

from pytest_llm_usage.cassettes.content import body_value, decoded

TEXT = "fastest bird? – é".encode()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("GZIP", gzip.compress(TEXT, mtime=0)),
        ("identity", TEXT),
        ("", TEXT),
        ("gzip", TEXT),
        ("**REDACTED**", TEXT),
    ],
)
def test_a_body_without_its_content_encoding(encoding, body):
    assert decoded({"Content-Encoding": [encoding]}, body) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "br", "unheard-of"])
def test_what_cannot_be_decoded(encoding):
    assert decoded({"content-encoding": [encoding]}, b"\xff\x00\xfe") is None


def test_what_is_downloaded_compressed_stays_so():
    """Only the header says that the client decompresses it."""
    assert decoded({}, gzip.compress(TEXT)) == gzip.compress(TEXT)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("", None, ("empty", None)),
        ("", b"", ("empty", None)),
        ("application/json", b'{"a":1}', ("json", {"a": 1})),
        ("", b' [1, "x"]', ("json", [1, "x"])),
        ("application/vnd.api+json", b"3", ("json", 3)),
        ("application/json", b"{broken", ("text", "{broken")),
        ("text/plain", b"a=1", ("text", "a=1")),
        ("application/x-www-form-urlencoded", b"b=2&a=1&c=", ("form", (("a", "1"), ("b", "2"), ("c", "")))),
        ("application/octet-stream", b"\xff", ("binary", b"\xff")),
        ("application/x-www-form-urlencoded", b"\xff", ("binary", b"\xff")),
        ("application/json", b"[" * 100_000, ("text", "[" * 100_000)),
    ],
)
def test_what_a_body_stands_for(content_type, body, expected):
    assert body_value({"Content-Type": [content_type]}, body) == expected


def test_multipart_without_a_boundary_is_one_part():
    assert body_value({"content-type": ["multipart/form-data"]}, b"abc") == ("multipart", ((b"", b"abc"),))
