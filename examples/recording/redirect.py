"""A pytest plugin for recording: whatever host a test asks for, the emulator on loopback answers.

Names are resolved to the emulator and its certificate is trusted; the clients, vcrpy and pytest-llm-usage are as
they always are, so a cassette names the provider's own addresses.
"""

from __future__ import annotations

import os
import socket
from typing import Any

import certifi

#: Set by record.py: the emulator's port, and the certificate that it shows.
PORT_VARIABLE = "EMULATOR_PORT"
CERTIFICATE_VARIABLE = "EMULATOR_CERTIFICATE"


def pytest_configure() -> None:
    port = int(os.environ[PORT_VARIABLE])
    certificate = os.environ[CERTIFICATE_VARIABLE]
    resolve = socket.getaddrinfo

    def resolve_to_emulator(_host: Any, _port: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve("127.0.0.1", port, *args, **kwargs)

    socket.getaddrinfo = resolve_to_emulator
    # Clients that bring their own list of authorities ask certifi; all others read these variables.
    certifi.where = lambda: certificate
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        os.environ[variable] = certificate
    # A proxy would be asked to resolve the name itself.
    os.environ["NO_PROXY"] = "*"
