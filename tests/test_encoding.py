"""Content encodings: one way to take them off, whatever the bytes and the headers, within one limit."""

import gzip
import importlib
import sys
import tracemalloc
import types
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage import encoding
from pytest_llm_usage.encoding import Decoded, decode

TEXT = '{"text": "fastest bird? – é"}'.encode()
PACKAGES = ("brotli", "brotlicffi", "compression.zstd", "backports.zstd", "zstandard")


def bare_deflate(data):
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def gzipped(data):
    return gzip.compress(data, mtime=0)


COMPRESS = {
    "gzip": gzipped,
    "x-gzip": gzipped,
    "deflate": zlib.compress,
    "deflate, bare": bare_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize(
    "content", [TEXT, b"", b"\x00\xff" * 1000, TEXT * 10_000], ids=["text", "empty", "binary", "long"]
)
def test_each_encoding(name, content):
    assert decode(COMPRESS[name](content), name.split(",")[0].upper()) == Decoded(content)


@pytest.mark.parametrize("inner", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("outer", ["gzip", "deflate", "br", "zstd"])
def test_chains_of_two(inner, outer):
    body = COMPRESS[outer](COMPRESS[inner](TEXT))
    assert decode(body, f"{inner}, {outer}") == Decoded(TEXT)
    assert decode(body, f"identity,{inner.upper()} ,\t{outer}") == Decoded(TEXT)


@pytest.mark.parametrize(
    "body",
    [
        gzipped(TEXT[:5]) + gzipped(TEXT[5:]),
        gzipped(b"") + gzipped(TEXT),
        gzipped(TEXT) + b"\0" * 20,
        gzipped(TEXT) + b"padding",
    ],
    ids=["members", "empty member", "zeros", "padding"],
)
def test_gzip_in_members_and_padded(body):
    assert decode(body, "gzip") == Decoded(TEXT)


def test_zstandard_in_frames_and_padded():
    body = zstandard.compress(TEXT[:5]) + zstandard.compress(TEXT[5:])
    assert decode(body, "zstd") == decode(body + b"\0" * 9, "zstd") == Decoded(TEXT)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "gzip, br", "unheard-of", "**REDACTED**"])
@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        b"",
        b"plain \xff with a stray byte",
        b"x" + "é".encode() * 5000,
        b"xxx" + "🪶".encode() * 2000,
        b"\x89PNG\r\n\x1a\n\0\0\0\0",
        b"\x1b[31mred\x1b[0m and some more text",
    ],
    ids=["json", "empty", "stray byte", "cut in two bytes", "cut in four bytes", "image", "colours"],
)
def test_a_header_over_a_plain_body_is_no_obstacle(name, body):
    assert decode(body, name) == Decoded(body)


@pytest.mark.parametrize(
    ("name", "lie"), [("gzip", "br"), ("zstd", "gzip"), ("gzip", "deflate"), ("zstd", "unheard-of")]
)
def test_a_header_that_names_another_encoding(name, lie):
    body = COMPRESS[name](TEXT)
    assert decode(body, lie, guess=True) == Decoded(TEXT)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_compressed_without_a_header(name):
    body = COMPRESS[name](TEXT)
    assert decode(body, "") == Decoded(body)
    assert decode(body, "", guess=True) == decode(COMPRESS["gzip"](body), "gzip", guess=True) == Decoded(TEXT)


NOISE = bytes(range(128, 256)) * 3


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("gzip", NOISE, "the body is not gzip, which its content-encoding names"),
        ("zstd", NOISE, "the body is not zstd, which its content-encoding names"),
        ("deflate", NOISE, "the compressed body is garbled"),
        ("br", NOISE, "the compressed body is garbled"),
        ("gzip, br", NOISE, "the body is not gzip, which its content-encoding names"),
        ("unheard-of", NOISE, "the content encoding 'unheard-of' is not known"),
        ("gzip", b"\x1f\x8b" + NOISE, "the compressed body is garbled"),
        ("zstd", b"\x28\xb5\x2f\xfd" + NOISE, "the compressed body is garbled"),
    ],
)
def test_what_cannot_be_decoded_says_why(name, body, problem):
    assert decode(body, name) == Decoded(body, problem)


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare", "br", "zstd"])
def test_a_body_that_is_cut_off_gives_what_it_holds(name):
    whole = b"".join(b"%d is not %d. " % (number, number * number) for number in range(9999))
    body = COMPRESS[name](whole)
    found = decode(body[: len(body) * 3 // 4], name.split(",")[0])
    assert (found.problem, found.is_cut_off) == ("the compressed body is cut off", True)
    # zstandard gives whole blocks only.
    assert whole.startswith(found.content)
    assert len(found.content) > len(whole) // 4


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_garbled_further_on(name):
    body = bytearray(COMPRESS[name](b"".join(b"%d is not %d. " % (n, n * n) for n in range(20_000))))
    body[-40:] = b"\xff" * 40
    found = decode(bytes(body), name)
    assert found.problem
    assert found.content != bytes(body)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("br", "the body is compressed with brotli, and no decoder is installed (pip install brotli)"),
        ("zstd", "the body is compressed with zstandard, and no decoder is installed (pip install zstandard)"),
    ],
)
def test_a_missing_decoder_is_named_with_what_installs_it(name, problem, monkeypatch):
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    body = COMPRESS[name](TEXT)
    assert decode(body, name) == Decoded(body, problem)
    assert decode(COMPRESS["gzip"](body), f"{name}, gzip") == Decoded(body, problem)
    assert decode(TEXT, name) == Decoded(TEXT)


class ZstdDecompressor:
    """As in Python 3.14 and in `backports.zstd`: it gives as much as it is asked for, and says when it has given all.

    Theirs need not be told how much. Ours does: a step may become more than there is memory for.
    """

    def __init__(self):
        self._stream = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""

    def decompress(self, data, max_length):
        if self.eof:
            raise EOFError("Already at the end of a Zstandard frame.")
        if data:
            self._ready += self._stream.decompress(data)
        piece, self._ready = self._ready[:max_length], self._ready[max_length:]
        return piece

    eof = property(lambda self: self._stream.eof and not self._ready)
    needs_input = property(lambda self: not self._stream.eof and not self._ready)
    unused_data = property(lambda self: self._stream.unused_data if self.eof else b"")


@pytest.fixture(params=["compression.zstd", "backports.zstd", "zstandard", "stand-in"])
def zstandard_decoder(request, monkeypatch):
    """Each of the modules that decode zstandard, the others not being there; a stand-in for what only some Pythons have."""
    if request.param == "stand-in":
        module = types.SimpleNamespace(ZstdDecompressor=ZstdDecompressor, ZstdError=zstandard.ZstdError)
        name = "compression.zstd"
        monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    else:
        name = request.param
        try:
            module = importlib.import_module(name)
        except ImportError:
            pytest.skip(f"no {name} here")
    for other in PACKAGES:
        monkeypatch.setitem(sys.modules, other, module if other == name else None)
    return request.param


LONG = b"".join(b"%d is not %d. " % (number, number * number) for number in range(200_000))


@pytest.mark.parametrize("content", [TEXT, b"", LONG, b"\0" * 3_500_000], ids=["text", "empty", "long", "zeros"])
def test_each_decoder_of_zstandard(zstandard_decoder, content):
    """The last two are more than is asked for at a time."""
    body = zstandard.compress(content)
    assert decode(body, "zstd") == decode(body, "", guess=True) == Decoded(content)
    assert decode(body + body + b"\0" * 9, "zstd") == Decoded(content * 2)


def test_each_decoder_of_zstandard_over_what_is_broken(zstandard_decoder):
    body = zstandard.compress(LONG)
    cut = decode(body[:-3], "zstd")
    assert (cut.problem, cut.is_cut_off) == ("the compressed body is cut off", True)
    assert cut.content
    assert LONG.startswith(cut.content)
    garbled = b"\x28\xb5\x2f\xfd" + NOISE
    assert decode(garbled, "zstd") == Decoded(garbled, "the compressed body is garbled")
    assert decode(zstandard.compress(TEXT) + garbled, "zstd") == Decoded(TEXT, "the compressed body is garbled")


def test_each_decoder_of_zstandard_stops_at_the_limit(zstandard_decoder, monkeypatch):
    limit = 2**21
    monkeypatch.setattr(encoding, "MAX_BYTES", limit)
    assert decode(zstandard.compress(b"x" * limit), "zstd") == Decoded(b"x" * limit)
    assert decode(zstandard.compress(b"x" * (limit + 1)), "zstd").problem == "the body is larger than 2,097,152 bytes"
    bomb = _bomb("zstd")
    tracemalloc.start()
    try:
        decode(bomb, "zstd")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # `zstandard` gives all that a step becomes, and our stand-in is made of it.
    assert peak < 2 * limit + 2**22 or zstandard_decoder in ("zstandard", "stand-in")


@pytest.mark.parametrize("name", COMPRESS)
def test_the_limit_is_exact(name, monkeypatch):
    monkeypatch.setattr(encoding, "MAX_BYTES", 1000)
    header = name.split(",")[0]
    assert decode(COMPRESS[name](b"x" * 1000), header) == Decoded(b"x" * 1000)
    assert decode(COMPRESS[name](b"x" * 1001), header) == Decoded(b"x" * 1000, "the body is larger than 1,000 bytes")


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_fills_no_memory(name, monkeypatch):
    """A gigabyte in a few hundred bytes to a megabyte stops at the limit, with one step of the decoder beyond it."""
    limit = 2**22
    monkeypatch.setattr(encoding, "MAX_BYTES", limit)
    bomb = _bomb(name)
    tracemalloc.start()
    try:
        found = decode(bomb, name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == Decoded(b"\0" * limit, "the body is larger than 4,194,304 bytes")
    assert peak < 2 * limit + 2 * 2**25


def _bomb(name):
    zeros = b"\0" * 2**26
    if name == "br":
        compressor = brotli.Compressor(quality=5)
        return b"".join(compressor.process(zeros) for _ in range(4)) + compressor.finish()
    compressor = {
        "gzip": zlib.compressobj(wbits=zlib.MAX_WBITS | 16),
        "deflate": zlib.compressobj(),
        "zstd": zstandard.ZstdCompressor().compressobj(),
    }[name]
    return b"".join(compressor.compress(zeros) for _ in range(4)) + compressor.flush()


def test_many_empty_members_take_time_that_grows_with_their_number_alone(monkeypatch):
    """What is left of each step is copied once; copying all of the rest each time would be 400 gigabytes."""
    members = 200_000
    copied = []
    create = zlib.decompressobj

    class Counted:
        def __init__(self, wbits):
            self._stream = create(wbits)

        def decompress(self, data):
            content = self._stream.decompress(data)
            copied.append(len(self._stream.unused_data))
            return content

        eof = property(lambda self: self._stream.eof)
        unused_data = property(lambda self: self._stream.unused_data)

    monkeypatch.setattr(zlib, "decompressobj", Counted)
    assert decode(gzipped(b"") * members + gzipped(TEXT), "gzip") == Decoded(TEXT)
    assert sum(copied) < 300 * members


def test_an_archive_that_holds_itself_ends():
    body = TEXT
    for _ in range(50):
        body = gzipped(body)
    assert decode(body, "", guess=True).problem == "the body is compressed more than 8 times"
    assert decode(body, ", ".join(["gzip"] * 50)).problem == "the body is compressed more than 8 times"


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("times", [1, 5, 8, 9, 30])
def test_layers_that_no_header_names(name, times):
    """As many as any server makes, and as many more as an archive bomb has, whichever way they are compressed."""
    body = TEXT
    for _ in range(times):
        body = COMPRESS[name](body)
    found = decode(body, "", guess=True)
    assert found.problem == ("the body is compressed more than 8 times" if times > 8 else "")
    assert (found.content == TEXT) is (times <= 8)


@given(
    st.binary(max_size=300),
    st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "?"]), max_size=4),
    st.booleans(),
)
def test_no_body_raises(body, names, guess):
    found = decode(body, ",".join(names), guess=guess)
    assert isinstance(found.content, bytes)
    assert found.problem or not found.is_cut_off


@given(st.binary(max_size=500), st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd"]), min_size=1, max_size=3))
def test_what_was_encoded_comes_back(content, names):
    body = content
    for name in names:
        body = COMPRESS[name](body)
    assert decode(body, ",".join(names)) == Decoded(content)
