"""Secrets in places that got through once: documents that are uploaded, XML, forms and cookies as others write them.

Beside each stands what looks like it and is none, which must be neither touched nor refused.
"""

import base64
import bz2
import io
import json
import lzma
import tarfile
import zipfile
from urllib.parse import quote

import pytest
from planted_keys import hexa, made_up

from pytest_llm_usage.cassettes import Redaction, writer
from pytest_llm_usage.cassettes.archives import ArchiveTooLargeError, archived
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.sanitize import sanitize
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.errors import SecretError

KEY = f"sk-ant-api03-{made_up(93)}AA"
#: No shape and no look of chance: its place alone tells.
WORD = "hunter2-swordfish-mellon"
JSON = {"content-type": ["application/json"]}
XML = {"content-type": ["text/xml"]}
MULTIPART = {"content-type": ["multipart/form-data; boundary=xyz"]}


def sent(body=b"{}", headers=JSON, url="https://tools.provider.test/x", answer=b"{}", answer_headers=JSON):
    return Interaction(Request("POST", url, headers, body), Response(200, "OK", answer_headers, answer))


def prompt(text):
    return sent(
        json.dumps({"messages": [{"content": text}]}).encode(), url="https://api.openai.com/v1/chat/completions"
    )


def part(head, content, end=b"\r\n"):
    return b"--xyz" + end + head + end + end + content + end + b"--xyz--" + end


def zipped(content, method=zipfile.ZIP_DEFLATED, name="word/document.xml"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def tarred(content, mode):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        member = tarfile.TarInfo("settings.env")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def saved(*planted):
    return sanitize(planted, Redaction(), shown_path="c.yaml")


# -- archives and documents --------------------------------------------------------------------------------------

ARCHIVES = {
    "docx": zipped,
    "zip, stored": lambda content: zipped(content, zipfile.ZIP_STORED),
    "zip of bzip2": lambda content: zipped(content, zipfile.ZIP_BZIP2),
    "zip of lzma": lambda content: zipped(content, zipfile.ZIP_LZMA),
    "zip in zip": lambda content: zipped(zipped(content)),
    "zip in zip in zip": lambda content: zipped(zipped(zipped(content))),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "tar.bz2": lambda content: tarred(content, "w:bz2"),
    "tar.xz": lambda content: tarred(content, "w:xz"),
    "zip in xz": lambda content: lzma.compress(zipped(content)),
}
SENT_AS = {
    "a body": lambda data: sent(data, {"content-type": ["application/octet-stream"]}),
    "an answer": lambda data: sent(answer=data, answer_headers={"content-type": ["application/zip"]}),
    "a file of a form": lambda data: sent(
        part(b'Content-Disposition: form-data; name="file"; filename="a"', data), MULTIPART
    ),
    "base64 in a prompt": lambda data: prompt(f"data:application/zip;base64,{base64.b64encode(data).decode()}"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("way", SENT_AS)
def test_a_key_in_an_archive_stops_the_save(kind, way):
    text = f"<w:t>the key is {KEY} ok</w:t>".encode()
    with pytest.raises(SecretError, match="something of the shape of an Anthropic key"):
        saved(SENT_AS[way](ARCHIVES[kind](text)))

    clean = SENT_AS[way](ARCHIVES[kind](text.replace(KEY.encode(), b"sk-ant-...")))
    assert saved(clean) == [clean]


def test_an_archive_that_is_none_and_a_damaged_one_are_saved():
    whole = zipped(b"words " * 5_000)
    for data in (
        b"PK\x03\x04 is how it begins",
        whole[:-30],
        whole[:40] + b"\xff" * 9 + whole[49:],
        b"BZh9 is no archive",
        b"\xfd7zXZ\0",
    ):
        planted = sent(data, {"content-type": ["application/octet-stream"]})
        assert saved(planted) == [planted]


def test_an_archive_that_is_too_large_to_be_looked_through_stops_the_save():
    bomb = zipped(b"\0" * (65 * 2**20))
    assert len(bomb) < 100_000
    with pytest.raises(SecretError, match="it is an archive that holds more than 67,108,864 bytes"):
        saved(sent(bomb, {"content-type": ["application/zip"]}))


def test_the_limit_holds_for_all_files_and_all_layers_of_an_archive_together():
    inner = zipped(b"0123456789" * 10)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(3):
            archive.writestr(str(number), inner)

    assert [len(content) for content in archived(file.getvalue(), 3 * (len(inner) + 100))] == [len(inner)] * 3 + [
        100
    ] * 3
    with pytest.raises(ArchiveTooLargeError):
        list(archived(file.getvalue(), 3 * (len(inner) + 100) - 1))


def test_an_archive_in_an_archive_ends_with_the_third():
    assert len(list(archived(zipped(zipped(zipped(zipped(b"no longer looked at"))))))) == 3


# -- encodings ---------------------------------------------------------------------------------------------------

ENCODED = {
    "a command of PowerShell": lambda text: f"powershell -enc {base64.b64encode(text.encode('utf-16-le')).decode()}",
    "Markdown": lambda text: text.replace("_", "\\_").replace("-", "\\-").replace(".", "\\."),
    "a space of no width": lambda text: f"{text[:8]}\u200b{text[8:]}",
    "a soft hyphen": lambda text: f"{text[:9]}\u00ad{text[9:]}",
    "a mark of the direction": lambda text: f"\u202a{text[:5]}\u200e{text[5:]}\u202c",
    "HTML": lambda text: text.replace("<", "&lt;").replace(">", "&gt;"),
}


@pytest.mark.parametrize("way", ENCODED)
@pytest.mark.parametrize("secret", [KEY, "Zx9_env-Value.<4711>-abc"], ids=["key", "environment"])
def test_a_secret_in_an_encoding_stops_the_save(way, secret, monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "Zx9_env-Value.<4711>-abc")
    with pytest.raises(SecretError, match=r"MY_SERVICE_TOKEN|an Anthropic key"):
        saved(prompt(ENCODED[way](secret)))


def test_text_in_these_encodings_is_saved():
    texts = [way("a sentence of words - and marks_of_all <kinds>.") for way in ENCODED.values()]
    planted = [prompt(text) for text in (*texts, r"C:\_work\-x", "caf\u00ad\u00e9", "a &lt; b &amp;&amp; c &gt; d")]
    assert saved(*planted) == planted


@pytest.mark.parametrize("shown", ["a&lt;b&gt;&#x27;c&amp;1234", "a&lt;b&gt;&#39;c&amp;1234", "a&lt;b&gt;'c&amp;1234"])
def test_a_page_that_repeats_a_secret_is_masked(shown, monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "a<b>'c&1234")
    assert mask_text(f"<p>unknown: {shown}</p>") == "<p>unknown: ***</p>"


# -- by place ----------------------------------------------------------------------------------------------------


def xml(text):
    return sent(text.encode(), XML)


#: Where the word stands, and what stands there once it is taken out.
PLACES = {
    "XML with a prefix": (xml, "<w:Password>{}</w:Password>"),
    "XML with attributes": (xml, '<Password Type="#PasswordText" a="b">{}</Password>'),
    "XML in lines": (xml, "<a>\n <Password>\n{}</Password>\n</a>"),
    "XML of SOAP": (xml, '<?xml version="1.0"?><s:Envelope><o:Password Type="t">{}</o:Password></s:Envelope>'),
    "CDATA": (xml, "<ApiKey><![CDATA[{}]]></ApiKey>"),
    "an attribute": (xml, '<login user="bob" password="{}"/>'),
    "an attribute with a prefix": (xml, "<login a:apiKey = '{}' />"),
    "a property list": (xml, "<dict><key>api_key</key>\n<string>{}</string></dict>"),
    "a form without a header": (lambda text: sent(text.encode(), {}), "grant_type=x&client_secret={}"),
    "a form that begins with it": (lambda text: sent(text.encode(), {}), "client_secret={}&grant_type=x"),
    **{
        f"a part, {name}": (lambda text, head=head: sent(part(head, text.encode()), MULTIPART), "{}")
        for name, head in {
            "name*": b"Content-Disposition: form-data; name*=UTF-8''api%5Fkey",
            "single quotes": b"Content-Disposition: form-data; name='api_key'",
            "its file first": b'Content-Disposition: form-data; filename="name=x"; name="api_key"',
        }.items()
    },
    "a part with lines of Unix": (
        lambda text: sent(part(b'Content-Disposition: form-data; name="api_key"', text.encode(), b"\n"), MULTIPART),
        "{}",
    ),
    "a part whose boundary is lost": (
        lambda text: sent(
            part(b'Content-Disposition: form-data; name="api_key"', text.encode()), {"content-type": ["multipart/form-data"]}
        ),
        "{}",
    ),
}  # fmt: skip
URLS = {
    "a URL in a query": f"https://h.test/r?to={quote('https://x.test/?a=1&api_key={}', safe='{}')}",
    "a session in a path": "https://h.test/a;jsessionid={}/b",
    "a session in a query": "https://h.test/?PHPSESSID={}",
    "a signature in a query": "https://h.test/?a=1&sign={}",
    **{f"the query {name}": f"https://h.test/?{name}={{}}" for name in ("hapikey", "user_pass", "password2", "passwordConfirmation")},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_word_is_taken_out_of_its_place(place):
    make, text = PLACES[place]
    assert make(text.format(WORD)) != make(text.format("redacted"))
    assert saved(make(text.format(WORD))) == [make(text.format("redacted"))]


@pytest.mark.parametrize("place", URLS)
def test_a_word_is_taken_out_of_a_url(place):
    assert Redaction().uri(URLS[place].format(WORD)) == URLS[place].format("redacted")


@pytest.mark.parametrize(
    "name",
    ["X-Api-Key-2", "x-api-key-v2", "X-Hub-Signature-256", "X-Goog-IAP-JWT-Assertion", "x-ms-authorization-auxiliary", "X-Auth-Pass"],
)  # fmt: skip
def test_a_word_is_taken_out_of_a_header(name):
    assert Redaction().headers({name: [WORD]}) == {name: ["redacted"]}


@pytest.mark.parametrize(
    "name", ["password_confirmation", "passwordConfirm", "new_password1", "passwd2", "OPENAI_API_KEY_2"]
)
def test_a_word_is_taken_out_of_a_field(name):
    (clean,) = saved(sent(json.dumps({name: WORD, "n": 1}).encode()))
    assert json.loads(clean.request.body) == {name: "redacted", "n": 1}


def test_each_of_several_cookies_in_one_header_is_taken_out():
    value = f"a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT, sid={WORD}; Path=/x; HttpOnly,b={hexa(20)}"
    (clean,) = saved(sent(answer_headers={"Set-Cookie": [value]}))
    assert clean.response.headers == {"set-cookie": ["a=redacted; Path=/, sid=redacted; Path=/x; HttpOnly,b=redacted"]}


def test_thousands_of_cookies_and_parts_in_parts_are_no_way_out():
    value = ", ".join(f"a{number}={WORD}" for number in range(5_000))
    (clean,) = saved(sent(answer_headers={"Set-Cookie": [value]}))
    assert clean.response.headers["set-cookie"] == [value.replace(WORD, "redacted")]

    nested = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (number, number + 1)
        for number in range(3_000)
    )
    headers = {"content-type": ["multipart/mixed; boundary=b0"]}
    assert saved(sent(nested, headers)) == [sent(nested, headers)]
    with pytest.raises(SecretError, match="an Anthropic key"):
        saved(sent(nested + KEY.encode(), headers))


#: What stands in the same places and is no secret.
ALIKE = {
    "elements": xml("<a><key>name</key><string>value</string><w:Name Type='t'>hunter2</w:Name><token>a word</token></a>"),
    "a page": xml("<form data-key='a' class=\"password\"><input type='password' name='password'></form> password = 'x'"),
    "a stylesheet": xml("<style>a[password='x'] { content: '<'; }</style>"),
    "CDATA": xml('<text><![CDATA[ password="swordfish" ]]></text>'),
    "a text with signs": sent(b"a = b & c = d; x=1", {"content-type": ["text/plain"]}),
    "a form": sent(b"grant_type=x&page=2", {}),
    "a file's name": sent(part(b'Content-Disposition: form-data; name="file"; filename="password.txt"', b"a list\r\n\r\nof words"), MULTIPART),
    "lines of Unix": sent(part(b'Content-Disposition: form-data; name="note"', b"one\n\ntwo\n", b"\n"), MULTIPART),
    "a path": sent(url="https://h.test/a;version=2/b;lang=en?sid=12&sign=leo&pass=1&hmac=md5"),
    "a URL in a query": sent(url=f"https://h.test/r?to={quote('https://x.test/?a=1&page=2', safe='')}"),
    "a session": sent(url="https://h.test/?session_id=01234567-89ab-cdef-0123-456789abcdef"),
    "numbers": sent(json.dumps({"token_2": " the", "key_1": "a", "tokens_1": 5, "passport2": "x", "passwords_policy_1": "y"}).encode()),
}  # fmt: skip


@pytest.mark.parametrize("planted", ALIKE.values(), ids=ALIKE)
def test_what_stands_in_such_a_place_and_is_no_secret_is_kept(planted):
    clean = saved(planted)
    assert clean == [planted]
    assert WORD.encode() not in writer.render(clean)
