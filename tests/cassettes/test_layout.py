"""Cassettes as text: every layout in the wild is read, ours is readable and loads in plain vcrpy with the same bodies."""

import gzip
import json
from textwrap import dedent

import pytest
import yaml
from corpus import ROOT, needs_corpus
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import Version
from vcr.serialize import deserialize
from vcr.serializers import yamlserializer

from pytest_llm_usage.cassettes import reader, storage, writer
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.errors import CassetteError

URL = "https://api.provider.test/v1/chat/completions"


def parsed(text):
    return reader.parse(dedent(text).encode())


def one(body=b"", answer=b"", **headers):
    return Interaction(Request("POST", URL, headers, body), Response(200, "OK", headers, answer))


def in_plain_vcrpy(data):
    requests, responses, *_ = deserialize(data.decode(), yamlserializer)
    return list(zip(requests, responses, strict=True))


def test_vcrpy_s_own_layout():
    (interaction,) = parsed("""
        interactions:
        - request:
            body: '{"model":"m"}'
            headers: {Accept: ['*/*'], X-Twice: [a, b]}
            method: post
            uri: https://api.provider.test/v1
          response:
            body: {string: '{"id":1}'}
            headers: {Content-Type: [application/json]}
            status: {code: 200, message: OK}
        version: 1
        """)
    assert interaction == Interaction(
        Request("POST", "https://api.provider.test/v1", {"Accept": ["*/*"], "X-Twice": ["a", "b"]}, b'{"model":"m"}'),
        Response(200, "OK", {"Content-Type": ["application/json"]}, b'{"id":1}'),
    )


def test_bodies_that_were_stored_parsed():
    (interaction,) = parsed("""
        interactions:
        - request: {method: POST, uri: 'https://h/', headers: {}, parsed_body: {b: [1, null], a: é}}
          response: {headers: {}, parsed_body: {ok: true}, status: {code: 200, message: OK}}
        """)
    assert json.loads(interaction.request.body) == {"b": [1, None], "a": "é"}
    assert json.loads(interaction.response.body) == {"ok": True}


def test_the_layout_of_early_httpx_recorders():
    (interaction,) = parsed("""
        interactions:
        - request: {method: POST, uri: 'https://h/', headers: {}, body: ''}
          response: {content: '{"id":1}', headers: {content-type: [application/json]}, http_version: HTTP/1.1,
                     status_code: 201}
        """)
    assert (interaction.response.status, interaction.response.body) == (201, b'{"id":1}')


def test_columns_of_requests_and_responses():
    first, second = parsed("""
        requests:
        - {method: POST, uri: 'https://h/1', body: one, headers: {}}
        - {method: POST, uri: 'https://h/2', body: !!binary dHdv, headers: {}}
        responses:
        - {status: {code: 200, message: OK}, headers: {}, body: {string: !!binary Zmlyc3Q=}}
        - {status: {code: 200, message: OK}, headers: {}, body: {string: second}}
        """)
    assert (first.request.body, first.response.body) == (b"one", b"first")
    assert (second.request.body, second.response.body) == (b"two", b"second")


def test_ruby_s_layout():
    (interaction,) = parsed("""
        http_interactions:
        - request: {method: post, uri: 'https://h/', headers: {Accept: ['*/*']}, body: {encoding: UTF-8, string: '{}'}}
          response: {status: {code: 200, message: OK}, headers: {}, http_version: null,
                     body: {encoding: ASCII-8BIT, base64_string: 'AP8='}}
          recorded_at: Fri, 01 Mar 2024 10:00:00 GMT
        recorded_with: VCR 6.2.0
        """)
    assert (interaction.request.method, interaction.request.body) == ("POST", b"{}")
    assert interaction.response.body == b"\x00\xff"


def test_what_yaml_takes_for_something_else_is_text():
    (interaction,) = parsed("""
        interactions:
        - request: {method: GET, uri: 'https://h/', headers: {anthropic-version: [2023-06-01], x: 5}, body: null}
          response: {status: {code: '200', message: null}, headers: {date: 2024-01-01},
                     parsed_body: {at: 2024-01-01T00:00:00Z}}
        """)
    assert interaction.request.headers == {"anthropic-version": ["2023-06-01"], "x": ["5"]}
    assert interaction.response.headers == {"date": ["2024-01-01"]}
    assert json.loads(interaction.response.body) == {"at": "2024-01-01T00:00:00Z"}
    assert (interaction.response.status, interaction.response.reason) == (200, "")


def test_header_names_and_bodies_that_were_written_as_python_objects():
    (interaction,) = parsed("""
        interactions:
        - request:
            body: !!python/object/new:_io.BytesIO
              state: !!python/tuple [!!binary ZmlsZQ==, 0, null]
            headers:
              ? !!python/object/apply:multidict._multidict.istr
              - Accept
              : [application/json]
              !!python/unicode 'X-Old': [!!python/str 'value']
            method: POST
            uri: https://h/
          response: {body: {string: ''}, headers: {}, status: {code: 200, message: OK}}
        - request: {method: POST, uri: 'https://h/', headers: {},
                    body: !!python/object/apply:builtins.iter {args: [[!!binary YQ==, b]]}}
          response: {body: {string: ''}, headers: {}, status: {code: 200, message: OK}}
        """)[:1]
    assert interaction.request.body == b"file"
    assert interaction.request.headers == {"Accept": ["application/json"], "X-Old": ["value"]}


def test_numbers_and_names_that_were_written_as_python_objects():
    (interaction,) = parsed("""
        interactions:
        - request:
            body: !!python/bytes ZmlsZQ==
            headers: {}
            method: !!python/object/apply:http.HTTPMethod
            - POST
            uri: https://h/
          response:
            body: {}
            headers: {content-length: [!!python/long '0']}
            status:
              code: !!python/object/apply:http.HTTPStatus
              - 204
              message: No Content
        """)
    assert (interaction.request.method, interaction.request.body) == ("POST", b"file")
    response = interaction.response
    assert (response.status, response.body, response.headers) == (204, b"", {"content-length": ["0"]})


def test_binary_text_of_ruby_s():
    (interaction,) = parsed("""
        http_interactions:
        - request: {method: post, uri: 'https://h/', headers: {}, body: {encoding: UTF-8, string: ''}}
          response: {status: {code: 200, message: OK}, headers: {},
                     body: {encoding: ASCII-8BIT, string: !binary AP8=}}
        """)
    assert (interaction.request.method, interaction.response.body) == ("POST", b"\x00\xff")


def test_json_cassettes():
    document = {
        "version": 1,
        "interactions": [
            {
                "request": {"method": "GET", "uri": "https://h/", "body": None, "headers": {}},
                "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "\U0001f600"}},
            }
        ],
    }
    (interaction,) = reader.parse(json.dumps(document).encode())
    assert interaction.response.body.decode() == "\U0001f600"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
        (b"\x00\x01", "it cannot be read"),
        (b"interactions: [", "it is not valid YAML, line 2"),
        (b"interactions:\n- request: {method: POST\n  response: x", "it is not valid YAML, line"),
        (b"just text", "it has neither 'interactions' nor 'requests' and 'responses'"),
        (b"- a\n- b", "it has neither 'interactions' nor"),
        (b"interactions: 3", "it has neither 'interactions' nor"),
        (b"interactions: [{request: {}}]", "an interaction has no response"),
        (b"interactions: [7]", "an interaction has no request"),
        (
            b"interactions: [{request: {method: GET}, response: {}}]",
            "interaction 1 is not one request and one response",
        ),
        (b"interactions: [{request: 1, response: 2}]", "interaction 1 is not one request and one response"),
        (b"requests: [{}]\nresponses: []", "it has a different number of requests and responses"),
        (b'{"interactions": ', "it cannot be read"),
        (b"interactions: []\nversion: 1\ninteractions: []\n", "it has 'interactions' twice"),
        (b"requests: []\nresponses: []\nrequests: []\n", "it has 'requests' twice"),
        (b"interactions:\n- request: {}\n  response: {}\n  response: {}\n", "it has 'response' twice"),
        (b'{"interactions": [], "interactions": []}', "it has 'interactions' twice"),
        (b'{"interactions": [{"request": {}, "request": {}, "response": {}}]}', "it has 'request' twice"),
    ],
)
def test_what_is_no_cassette_is_said_in_one_line(data, problem):
    with pytest.raises(CassetteError) as error:
        reader.parse(data)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "hostile",
    [
        "!!python/object/apply:os.system ['touch pwned']",
        "!!python/object/new:os.system ['touch pwned']",
        "!!python/object/apply:builtins.eval ['1+1', {}]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object:pytest.Item {}",
        "!!python/object/new:str [a, b]",
        "!custom tag",
    ],
)
def test_tags_never_make_objects(hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"interactions:\n- request:\n    method: GET\n    body: {hostile}\n  response: {{}}\n"
    with pytest.raises(CassetteError, match="it asks for something other than plain data, line 4"):
        reader.parse(text.encode())
    assert not list(tmp_path.iterdir())


def test_aliases_that_explode():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12))
    with pytest.raises(CassetteError, match="its aliases stand for more than"):
        reader.parse(f"l0: &l0 [x]\n{levels}\ninteractions: []\n".encode())


def test_an_alias_that_contains_itself():
    with pytest.raises(CassetteError, match="an alias in it contains itself"):
        reader.parse(b"interactions: []\nloop: &loop [*loop]\n")


def test_aliases_that_recorders_write_are_read():
    first, second = parsed("""
        interactions:
        - request: {method: GET, uri: 'https://h/', body: null, headers: {accept: &id001 ['*/*']}}
          response: &id002 {status: {code: 200, message: OK}, headers: {}, body: {string: same}}
        - request: {method: GET, uri: 'https://h/', body: null, headers: {accept: *id001}}
          response: *id002
        """)
    assert first == second


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_without_end(opening):
    with pytest.raises(CassetteError):
        reader.parse(b"interactions: " + opening.encode() * 20_000)


def test_readable():
    stream = b'data: {"id":"1"}\n\ndata: [DONE]\n\n'
    interaction = Interaction(
        Request("POST", URL, {"content-type": ["application/json"]}, b'{"model":"m","messages":[{"role":"user"}]}'),
        Response(200, "OK", {"content-type": ["text/event-stream"], "content-length": ["999"]}, stream),
    )
    assert writer.render([interaction]).decode() == dedent("""\
        version: 1
        interactions:
        - request:
            method: POST
            uri: "https://api.provider.test/v1/chat/completions"
            headers:
              content-type:
              - application/json
            body: |-
              {
                "model": "m",
                "messages": [
                  {
                    "role": "user"
                  }
                ]
              }
          response:
            status:
              code: 200
              message: OK
            headers:
              content-length:
              - "32"
              content-type:
              - text/event-stream
            body:
              string: |+
                data: {"id":"1"}

                data: [DONE]

        """)


def test_a_stream_with_carriage_returns_has_one_line_of_yaml_for_each_of_its_own():
    stream = b'event: a\r\ndata:  {"x": "\\u00e9"}\r\n\r\n \tdata: b\r\n\r\n'
    data = writer.render([one(answer=stream)])
    assert "        event: a\\r\\n\\\n" in data.decode()
    assert reader.parse(data)[0].response.body == stream
    assert in_plain_vcrpy(data)[0][1]["body"]["string"] == stream


def test_binary_streams_stay_binary():
    answer = bytes(range(256)) * 3
    data = writer.render([one(answer=answer)])
    assert b"!!binary |" in data
    assert reader.parse(data)[0].response.body == answer
    assert in_plain_vcrpy(data)[0][1]["body"]["string"] == answer


def test_json_keeps_its_numbers_names_and_letters():
    body = '{"a":1.10,"a":2e400,"big":12345678901234567890123,"s":"\\u00e9\\ud83d\\ude00\\u2028\\ud800 \\"x\\"","e":{},"l":[]}'
    shown = writer.indented_json(body)
    assert '"a": 1.10' in shown
    assert '"a": 2e400' in shown
    assert '"big": 12345678901234567890123' in shown
    assert '"e": {}' in shown
    assert '"l": []' in shown
    assert json.loads(shown) == json.loads(body)
    assert "é" in writer.indented_json('{"s":"\\u00e9"}')


def test_verbatim_json_keeps_its_bytes():
    body = b'{"b": 1,\n\n "a": "\\u00e9" }'
    assert reader.parse(writer.render([one(body, body)], indent_json=False))[0] == one(body, body)


def test_a_body_that_its_headers_have_a_checksum_of_is_not_indented():
    interaction = one(answer=b'{"a":1}', **{"x-amz-checksum-crc32": ["x"]})
    assert reader.parse(writer.render([interaction]))[0].response.body == b'{"a":1}'


texts = st.text(st.characters(codec="utf-8"), max_size=60)
lines = st.lists(
    st.sampled_from(["", " ", "data: x", "  y", "\t", "#", "- a", "\r", "\x85", "\u2028", "é", "\ufeff", "\0"]),
    max_size=8,
)
bodies = st.one_of(texts.map(str.encode), st.binary(max_size=60), lines.map("\n".join).map(str.encode))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=12,
)


@given(bodies, bodies)
@example(b"\n\n a\n \n\n", b" \n")
@example(b"a\r\n b\r\n", b"\t\n\tx\n")
@example(b"x" * 100, b"\n" * 5)
@example("\ufeffa\nb".encode(), "a\x85b\nc".encode())
@example(b"%PDF", b"---\nb: 1\n...\n")
def test_every_body_comes_back_to_the_byte(body, answer):
    interaction = one(body, answer)
    data = writer.render([interaction], indent_json=False)
    assert reader.parse(data) == [interaction]
    ((request, response),) = in_plain_vcrpy(data)
    assert (request.body, response["body"]["string"]) == (body, answer)
    assert yaml.safe_load(data)["version"] == 1


@given(json_values.filter(lambda value: isinstance(value, dict | list)), st.booleans())
def test_every_json_body_comes_back_by_value(value, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    data = writer.render([one(body, body)])
    ((request, response),) = in_plain_vcrpy(data)
    for read in (reader.parse(data)[0].request.body, request.body, response["body"]["string"]):
        assert json.loads(read) == value


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text(st.characters(codec="utf-8"), max_size=30))
@example("yes", "null")
@example("0x1F", "1_000")
@example("a: b", "- #x")
@example("~", "=")
def test_every_header_comes_back(name, value):
    interaction = Interaction(
        Request(name.upper() or "GET", "https://h/" + value, {name: [value, ""]}), Response(200, value)
    )
    assert reader.parse(writer.render([interaction])) == [interaction]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_cassette_or_one_clear_error(data):
    try:
        reader.parse(data)
    except CassetteError as error:
        assert str(error)


def _files():
    return sorted([*ROOT.glob("corpus*/**/*.yaml"), *ROOT.glob("langchain-columnar/*.gz")])


def _comparable(body):
    try:
        return json.loads(body)
    except (ValueError, TypeError):
        return body


@needs_corpus
def test_every_public_cassette_loads_and_rewritten_loads_in_plain_vcrpy():
    files = _files()
    for file in files:
        recorded = storage.load(file)
        assert recorded, file
        data = writer.render(recorded)
        again = reader.parse(data)
        for old, new, (request, response) in zip(recorded, again, in_plain_vcrpy(data), strict=True):
            for one_body, ours, theirs in (
                (old.request.body, new.request.body, request.body),
                (old.response.body, new.response.body, response["body"]["string"]),
            ):
                assert theirs == ours, file
                assert ours == one_body or _comparable(ours) == _comparable(one_body), file
            assert (request.method, request.uri) == (old.request.method, old.request.uri), file
            assert response["status"] == {"code": old.response.status, "message": old.response.reason}, file
    assert len(files) >= 590


def test_gzipped_files_are_read(tmp_path):
    path = tmp_path / "a.yaml.gz"
    path.write_bytes(gzip.compress(writer.render([one(b"x", b"y")])))
    assert storage.load(path) == [one(b"x", b"y")]


# Files that were made to hang, fill memory or crash ----------------------------------------------------------------------


def test_merges_that_explode_fill_no_memory():
    """385 bytes that stand for ten times more with each line. PyYAML itself merges a member once since 6.0.4."""
    lines = ["a0: &a0 {k0: v}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: v}}" for n in range(1, 9)]
    data = "\n".join([*lines, "interactions: []"]).encode()
    if Version(yaml.__version__) >= Version("6.0.4"):
        assert reader.parse(data) == []
    else:
        with pytest.raises(CassetteError, match=r"its merges \(<<\) stand for more than 100,000 members"):
            reader.parse(data)


def test_merges_that_people_write_are_read():
    (interaction,) = parsed("""
        defaults: &defaults
          headers: {accept: [json]}
          body: null
        interactions:
        - request:
            <<: *defaults
            method: GET
            uri: https://x.test/
          response: {status: {code: 200, message: OK}, headers: {}, body: {string: ''}}
        """)
    assert interaction.request.headers == {"accept": ["json"]}


def test_a_merge_of_itself_is_refused():
    with pytest.raises(CassetteError, match="nested too deeply"):
        reader.parse(b"a: &a {<<: *a}\ninteractions: []\n")


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("status: {code: .inf, message: OK}", "interaction 1 is not one request and one response"),
        ("status: {code: [], message: OK}", "interaction 1 is not one request and one response"),
        ("status: {code: !!python/object/apply:http.HTTPStatus [], message: OK}", "interaction 1 is not one request"),
        ("body: !!python/object/new:_io.BytesIO {state: 7}", ""),
        (
            "body: !!python/object/new:_io.BytesIO {state: [7]}",
            "a body in it is made of something other than text and bytes",
        ),
        (
            "body: !!python/object/apply:builtins.iter {args: [[1000000000000]]}",
            "a body in it is made of something other",
        ),
        ("body: !!python/object/apply:builtins.iter {args: 7}", ""),
        ("body: {base64_string: 7}", "interaction 1 is not one request and one response"),
        (
            "status: {code: -1, message: OK}",
            "interaction 1 is not one request and one response .its status is not a number",
        ),
        (
            "status: {code: 1000, message: OK}",
            "interaction 1 is not one request and one response .its status is not a number",
        ),
        ("status: {code: 0x" + "f" * 5_000 + ", message: OK}", "interaction 1 is not one request and one response"),
        ("headers: 7", "interaction 1 is not one request and one response"),
        ("headers: [7]", "interaction 1 is not one request and one response"),
        ("body: !!binary 7é", "it asks for something other than plain data, line 6: failed to convert base64"),
        ("body: !!int x", "it cannot be read"),
        ("? {a: b} : c", "it asks for something other than plain data|it cannot be read"),
    ],
)
def test_what_no_recorder_writes_is_an_error_of_ours_or_nothing(part, problem):
    text = f"""
        interactions:
        - request: {{method: GET, uri: 'https://x.test/'}}
          response:
            status: 200
            {part}
        """
    if part.startswith("status"):
        text = text.replace("            status: 200\n", "")
    if not problem:
        parsed(text)
        return
    with pytest.raises(CassetteError, match=problem):
        parsed(text)


def test_names_that_are_numbers_are_the_text_that_they_are():
    (found,) = parsed("""
        interactions:
        - request: {method: GET, uri: 'https://x.test/', headers: {1: a, 2.50: b, 0x10: c}}
          response: {status: {code: 200, message: OK}, headers: {}, parsed_body: {7: x, true: y, null: z}}
        """)
    assert found.request.headers == {"1": ["a"], "2.50": ["b"], "0x10": ["c"]}
    assert json.loads(found.response.body) == {"7": "x", "true": "y", "null": "z"}


def test_numbers_that_are_chosen_to_be_compared_with_each_other_are_not():
    """As numbers they would have one hash: 40,000 would take seconds, 400,000 minutes."""
    names = [number * (2**61 - 1) for number in range(1, 1_000)]
    compared = []

    class Counting(reader._Loader):
        def construct_mapping(self, node, deep=False):
            found = super().construct_mapping(node, deep=deep)
            compared.extend(name for name in found if not isinstance(name, str))
            return found

    yaml.load("{" + ", ".join(f"{name}: a" for name in names) + "}", Loader=Counting)
    assert compared == []
