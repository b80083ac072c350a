"""Record the cassettes and usage snapshots of the examples again: python examples/record.py [NAME …]

No provider is asked. An emulator on loopback (recording/emulator.py) answers in their place, over TLS with a
certificate made for the run; every cassette says so in its first lines. The same script gives the same files, byte for byte.

Needs what the examples need, and the `openssl` command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recording import emulator, redirect

EXAMPLES = Path(__file__).parent
NAMES = ("quickstart", "agent", "ci")
HOSTS = ("api.openai.com", "en.wikipedia.org")

NOTE = """\
# Recorded by examples/record.py against an emulator on loopback (examples/recording/emulator.py), not against the
# provider: its answers, dates and token counts were written for this example.
"""


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for the providers' names that nobody but this run trusts, and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=emulator"]
    command += ["-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 -- our own words
    return certificate, key


@contextmanager
def emulator_environment() -> Iterator[dict[str, str]]:
    """The environment of a process in which `-p recording.redirect` leads every request to a running emulator."""
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = make_certificate(Path(directory))
        server = emulator.serve(certificate, key)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            # Without what a pytest that runs this has told its own processes.
            inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
            yield inherited | {
                "PYTHONPATH": str(EXAMPLES),
                "OPENAI_API_KEY": "sk-emulator",
                redirect.PORT_VARIABLE: str(server.server_port),
                redirect.CERTIFICATE_VARIABLE: str(certificate),
            }
        finally:
            server.shutdown()
            server.server_close()


def record(name: str, environment: dict[str, str]) -> None:
    """Run the tests of one example against the emulator, and mark the cassettes they wrote."""
    plugins = ["-p", "recording.redirect", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "--llm-usage-record=rewrite", "--snapshot-update"]
    command.append(str(EXAMPLES / name))
    if subprocess.run(command, check=False, env=environment).returncode:  # noqa: S603 -- our own words
        sys.exit(f"{name} could not be recorded: see pytest's report above")
    for cassette in sorted((EXAMPLES / name).glob("cassettes/**/*.yaml")):
        text = cassette.read_text(encoding="utf-8")
        if not text.startswith(NOTE):
            cassette.write_text(NOTE + text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)} (default: all)")
    names = parser.parse_args().names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"no such example: {', '.join(unknown)} (there are {', '.join(NAMES)})")
    with emulator_environment() as environment:
        for name in names:
            record(name, environment)


if __name__ == "__main__":
    main()
