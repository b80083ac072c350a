"""What a URL says of an address: its host and its path, also of one that was redacted."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["address_of", "host_and_path", "host_of", "parameter_of", "path_of"]


def host_and_path(url: str) -> tuple[str, str]:
    """The host in lower case, with its port where that is an uncommon one, and the path as it stands; both may be empty."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix(":443").removesuffix(":80"), parts.path


def host_of(url: str) -> str:
    """The host of a URL, without its port; empty where the URL is redacted."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def path_of(url: str) -> str:
    """The path of a URL, percent-encoding undone; of one that is redacted, what is left."""
    return unquote(host_and_path(url)[1]).rstrip("/")


def parameter_of(url: str, name: str) -> str:
    """The value of a parameter of the query, the first of several; empty where there is none."""
    try:
        return parse_qs(urlsplit(url).query).get(name, [""])[0]
    except ValueError:
        return ""


def address_of(url: str) -> str:
    """`host/path`, without query and credentials."""
    host, path = host_and_path(url)
    return f"{host}{path}" or "a URL that was redacted"
