"""What a replaying cassette refuses, replays and lets pass, client by client: the table in `docs/explanation/network.md`.

Each trial is a process of its own. The client is sent to a server on an address of this machine that is not loopback, so
nothing leaves it, and a replaying cassette refuses that address like any other. A client that is not installed is skipped.
"""

import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "network.md"

#: How a client asks the server: `HOST`, `PORT` and `URL` are there. Each begins with the module that it needs.
TRIALS = {
    "http.client of Python": "import http.client\nclient = http.client.HTTPConnection(HOST, PORT, timeout=3)\nclient.request('GET', '/')\nclient.getresponse()",
    "urllib of Python": "import urllib.request\nurllib.request.urlopen(URL, timeout=3)",
    "asyncio of Python": "import asyncio\nasyncio.run(asyncio.open_connection(HOST, PORT))",
    "httpx": "import httpx\nhttpx.get(URL, timeout=3)",
    "httpx2": "import httpx2\nhttpx2.get(URL, timeout=3)",
    "requests": "import requests\nrequests.get(URL, timeout=3)",
    "urllib3": "import urllib3\nurllib3.request('GET', URL, timeout=3)",
    "aiohttp": (
        "import aiohttp, asyncio\n"
        "async def get():\n"
        "    async with aiohttp.ClientSession() as session, session.get(URL): pass\n"
        "asyncio.run(get())"
    ),
    "botocore (boto3)": (
        "import botocore.httpsession, botocore.awsrequest\n"
        "request = botocore.awsrequest.AWSRequest('GET', URL).prepare()\n"
        "botocore.httpsession.URLLib3Session(timeout=3).send(request)"
    ),
    "httplib2": "import httplib2\nhttplib2.Http(timeout=3).request(URL)",
    "tornado": (
        "import tornado.httpclient, asyncio\n"
        "async def get():\n"
        "    await tornado.httpclient.AsyncHTTPClient().fetch(URL, request_timeout=3)\n"
        "asyncio.run(get())"
    ),
    "websockets": "import websockets.sync.client\nwebsockets.sync.client.connect(f'ws://{HOST}:{PORT}', open_timeout=3)",
    "grpcio": (
        "import grpc\n"
        "channel = grpc.insecure_channel(f'{HOST}:{PORT}')\n"
        "channel.unary_unary('/service/method')(b'', timeout=3)"
    ),
    "dnspython": (
        "import dns.message, dns.query\n"
        "dns.query.tcp(dns.message.make_query('provider.invalid', 'A'), HOST, port=PORT, timeout=3)"
    ),
    "pycurl": (
        "import pycurl\n"
        "client = pycurl.Curl()\n"
        "client.setopt(pycurl.URL, URL)\n"
        "client.setopt(pycurl.TIMEOUT, 3)\n"
        "client.setopt(pycurl.PROXY, '')\n"
        "client.setopt(pycurl.WRITEFUNCTION, lambda data: None)\n"
        "client.perform()"
    ),
    "curl_cffi": "import curl_cffi.requests\ncurl_cffi.requests.get(URL, timeout=3)",
    "primp (Rust)": "import primp\nprimp.Client(timeout=3).get(URL)",
    "pyreqwest (Rust)": (
        "import pyreqwest.client\n"
        "with pyreqwest.client.SyncClientBuilder().no_proxy().build() as client: client.get(URL).build().send()"
    ),
    "uvloop": (
        "import uvloop, asyncio\n"
        "with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:\n"
        "    runner.run(asyncio.open_connection(HOST, PORT))"
    ),
    "a subprocess": (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', f'import socket; socket.create_connection(({HOST!r}, {PORT}), 3)'])"
    ),
    "ctypes": (
        "import ctypes, socket, struct\n"
        "libc = ctypes.CDLL(None)\n"
        "fd = libc.socket(2, 1, 0)\n"
        "address = struct.pack('=H', 2) + struct.pack('!H', PORT) + socket.inet_aton(HOST) + bytes(8)\n"
        "libc.connect(fd, address, 16)"
    ),
}
#: Around each: a cassette that replays and holds nothing. What is refused raises, and is counted.
FRAME = """
import os, sys
from pathlib import Path
from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette

HOST, PORT = sys.argv[1], int(sys.argv[2])
URL = f"http://{HOST}:{PORT}/"
messages = []

class Refused(BaseException):
    pass

def refuse(message):
    messages.append(message)
    raise Refused

policy = CassettePolicy(path=Path("none.yaml").absolute(), record_mode="none", rerecord_command="", root=Path.cwd())
CODE

def trial():
    exec(CLIENT, globals())

try:
    with OpenCassette(policy, observe=lambda exchange: None, fail=refuse):
        trial()
except BaseException as error:
    if not messages:
        print(type(error).__name__, error)
# Told by what was said: a request that the cassette does not hold, or a connection beside it.
text = messages[0] if messages else ""
print("refused" if text.startswith("Not replayed") else "replayed" if text else "passes", flush=True)
os._exit(0)
"""


def own_address():
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = sock.getsockname()[0]
    return None if address.startswith(("127.", "0.")) else address


@pytest.fixture(scope="module")
def server():
    """Accepts connections, answers a line of HTTP, and counts them."""
    host = own_address()
    if host is None:
        pytest.skip("this machine has no address but loopback")
    connections = []
    listener = socket.create_server((host, 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            connections.append(client)
            with client:
                client.settimeout(1)
                try:
                    client.recv(1000)
                    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield host, listener.getsockname()[1], connections
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def outcome(client, server, folder):
    """What a replaying cassette does with the client: `replayed`, `refused` or `passes`."""
    host, port, connections = server
    before = len(connections)
    program = FRAME.replace("CODE", f"CLIENT = {TRIALS[client]!r}")
    run = subprocess.run(
        [sys.executable, "-c", program, host, str(port)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "ModuleNotFoundError" in run.stdout:
        return None
    assert run.returncode == 0, run.stderr
    said = run.stdout.split()[-1]
    assert (said == "passes") == (len(connections) > before), f"{run.stdout}\n{run.stderr}"
    return said


def rows():
    """The table of the page: client → outcome."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([^|]+?) \| (replayed|refused|\*\*passes\*\*|not tried) \|", text, flags=re.MULTILINE))


def test_the_table_has_every_trial_and_no_other():
    assert list(rows()) == list(TRIALS)


@pytest.mark.skipif(sys.platform != "linux", reason="a machine's own address is reached without a network on Linux")
@pytest.mark.parametrize("client", TRIALS)
def test_the_table_says_what_happens(client, server, tmp_path):
    happened = outcome(client, server, tmp_path)
    if happened is None:
        pytest.skip("not installed")
    assert rows()[client].strip("*") == happened
