"""The host and path of a URL, as far as it was not redacted."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["address_of", "host_and_path", "host_of", "parameter_of", "path_of"]


def host_and_path(url: str) -> tuple[str, str]:
    """The host in lower case, with its port unless that is 80 or 443, and the path as it stands; both may be empty."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix(":443").removesuffix(":80"), parts.path


def host_of(url: str) -> str:
    """The host of a URL, without its port; empty if the URL is redacted."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def path_of(url: str) -> str:
    """The path of a URL, without percent-encoding; if the URL is redacted, what is left of the path."""
    return unquote(host_and_path(url)[1]).rstrip("/")


def parameter_of(url: str, name: str) -> str:
    """The first value of a query parameter; empty if there is none."""
    try:
        return parse_qs(urlsplit(url).query).get(name, [""])[0]
    except ValueError:
        return ""


def address_of(url: str) -> str:
    """`host/path`, without query and credentials."""
    host, path = host_and_path(url)
    return f"{host}{path}" or "a URL that was redacted"
