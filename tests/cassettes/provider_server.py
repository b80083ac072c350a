"""A server on loopback that answers for a provider, and `refuse`, which stands for `pytest.fail`."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: A host that is loopback by address but not by name, so that its answers are recorded like a provider's.
HOST = "api.provider.test"


class Refused(BaseException):
    """What `fail` raises: like pytest's outcomes, nothing that `except Exception` catches."""


def refuse(message):
    raise Refused(message)


class Provider:
    """Answers each request with the next of its `answers`, or with an echo of what it got."""

    def __init__(self):
        self.requests = []
        self.answers = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        self.url = f"http://{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self):
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self):
                body = self._body()
                provider.requests.append((self.command, self.path, dict(self.headers), body))
                if provider.answers:
                    status, headers, answer = provider.answers.pop(0)
                else:
                    status, headers = 200, {"content-type": "application/json"}
                    echo = {"number": len(provider.requests), "path": self.path, "got": body.decode("latin-1")}
                    answer = json.dumps(echo).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def _body(self):
                if self.headers.get("transfer-encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length") or 0))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_):
                pass

        return Handler
