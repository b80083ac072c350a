"""The parts of a multipart body: split, and joined again byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["Part", "joined_parts", "multipart_boundary", "split_parts"]

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
#: The beginning of a body whose header has lost the boundary.
_FIRST_LINE = re.compile(rb"--([^\s]{1,200})[ \t]*\r?\n(?i:content-)")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n\Z")
_NAME = re.compile(rb"""\bname\*?=["']?(?:utf-8'[^']{0,20}')?([^"'\r\n;]{1,64})""", re.IGNORECASE)
_CONTENT_TYPE = re.compile(rb"(?i)content-type:[ \t]*([^\r\n]+)")


@dataclass(slots=True)
class Part:
    """The bytes between two boundaries.

    Attributes:
        head: Its headers, from the end of the boundary's line; the whole part if it has no content.
        blank: The blank line after the headers.
        content: Its content, without the line end before the next boundary.
        end: That line end.
    """

    head: bytes
    blank: bytes = b""
    content: bytes = b""
    end: bytes = b""

    @property
    def names(self) -> list[str]:
        """What may be its name: a file's name is included, because it may hold one as well."""
        return [unquote(name.decode("utf-8", "replace")) for name in _NAME.findall(self.head)]

    @property
    def content_type(self) -> str:
        """Its own content type; empty if it has none."""
        kind = _CONTENT_TYPE.search(self.head)
        return kind[1].decode("latin-1") if kind else ""


def multipart_boundary(content_type: str, body: bytes = b"") -> bytes | None:
    """The boundary between the parts of a multipart body, from its header or from the beginning of the body."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is not None:
        return (boundary[1] or boundary[2]).encode()
    first = _FIRST_LINE.match(body)
    return first[1] if first else None


def split_parts(boundary: bytes, body: bytes) -> list[Part]:
    """The parts of a body. The first is what comes before all boundaries, the last what comes after them."""
    return [_part(text) for text in body.split(b"--" + boundary)]


def _part(text: bytes) -> Part:
    blank = _BLANK_LINE.search(text)
    if blank is None:
        return Part(text)
    content = text[blank.end() :]
    end = _LINE_END.search(content, max(0, len(content) - 2))
    return Part(text[: blank.start()], blank[0], content[: end.start()] if end else content, end[0] if end else b"")


def joined_parts(boundary: bytes, parts: Iterable[Part]) -> bytes:
    """The body made of these parts."""
    return (b"--" + boundary).join(part.head + part.blank + part.content + part.end for part in parts)
