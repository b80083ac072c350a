"""What the bytes of a body are."""

import gzip
import zlib

import pytest
import zstandard

from pytest_llm_usage.cassettes import content
from pytest_llm_usage.cassettes.content import body_value, decoded, inflate
from pytest_llm_usage.errors import CassetteError

TEXT = "fastest bird? – é".encode()


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("GZIP", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT[:5], mtime=0) + gzip.compress(TEXT[5:], mtime=0)),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"\0" * 20),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("zstd", zstandard.compress(TEXT)),
        ("deflate, gzip", gzip.compress(zlib.compress(TEXT), mtime=0)),
        ("identity", TEXT),
        ("", TEXT),
    ],
)
def test_content_encodings(encoding, body):
    assert decoded({"Content-Encoding": [encoding]}, body) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "unheard-of", "**REDACTED**"])
def test_a_header_that_lies_over_a_plain_body(encoding):
    assert decoded({"content-encoding": [encoding]}, TEXT) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "br", "unheard-of"])
def test_what_cannot_be_decoded(encoding):
    assert decoded({"content-encoding": [encoding]}, b"\xff\x00\xfe") is None


def test_data_that_ends_early():
    with pytest.raises(zlib.error, match="ends early"):
        inflate(gzip.compress(TEXT * 100)[:-12])


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, zstandard.compress])
def test_bombs(compress, monkeypatch):
    monkeypatch.setattr(content, "MAX_BYTES", 1000)
    encoding = {gzip.compress: "gzip", zlib.compress: "deflate"}.get(compress, "zstd")
    assert decoded({"content-encoding": [encoding]}, compress(b"x" * 1000)) == b"x" * 1000
    with pytest.raises(CassetteError, match="compressed data of more than 1,000 bytes"):
        decoded({"content-encoding": [encoding]}, compress(b"x" * 1001))


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
