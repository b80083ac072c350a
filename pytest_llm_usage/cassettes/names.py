"""The names of tests' cassettes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pytest_llm_usage.errors import CassetteError
from pytest_llm_usage.text import shortened

__all__ = ["FAILED", "cassette_path", "failed_path", "file_name"]

_SUFFIX = ".yaml"
#: Ends the name of a file with the recordings of a test that failed.
FAILED = ".failed"
_FORBIDDEN = str.maketrans(dict.fromkeys("<>?%*:|\"'/\\", "-"))
_MAX_NAME_BYTES = 255
#: How many characters of a longer name the message shows.
_MOST_SHOWN = 60


def file_name(name: str) -> str:
    """A test's name as a file may have it, by the rules of pytest-recording, so that its cassettes are found."""
    return name.translate(_FORBIDDEN).replace("\0", "-")


def cassette_path(directory: Path, own_name: str, name: str | None = None, *, apart: str | None = None) -> Path:
    """Where the cassette of a test is: pytest-recording's naming, inside `directory`.

    Args:
        directory: The folder of the test module's cassettes.
        own_name: The name of the test with its class and its parameters, such as `TestBirds.test_bird[en]`.
        name: The name that a marker gives, relative to `directory` or absolute, with or without `.yaml`; None for the
            test's own.
        apart: Distinguishes the test from another one for which pytest-recording would name the same file: `a/b` and
            `a:b` both become `a-b`, and of nested classes only the inner name is used. The file's name then ends in a
            digest of it. None if there is no other test.

    Raises:
        CassetteError: A relative `name` leads out of `directory`, or no file can have such a name.
    """
    if name is None:
        suffix = f"-{_digest(apart)[:8]}" if apart is not None else ""
        return directory / (_shortened(file_name(own_name) + suffix) + _SUFFIX)
    if not _can_be_written(name):
        raise CassetteError(f"llm_cassette: {name!a} holds a character that no file's name can have")
    if name.endswith((FAILED, FAILED + _SUFFIX)):
        raise CassetteError(f"llm_cassette: {name!r} is a recording of a test that failed, which is never replayed")
    path = directory / (name if name.endswith((_SUFFIX, ".yml", _SUFFIX + ".gz")) else name + _SUFFIX)
    if not Path(name).is_absolute() and not _is_inside(path, directory):
        raise CassetteError(
            f"llm_cassette: {name!r} leads out of the cassette folder {directory} (an absolute path may lead anywhere)"
        )
    stem = path.name.removesuffix(".gz").removesuffix(_SUFFIX).removesuffix(".yml")
    if stem in ("", ".", "..") or name.endswith("/"):
        raise CassetteError(f"llm_cassette: {name!r} names no file")
    if len(os.fsencode(path.name)) > _MAX_NAME_BYTES:
        raise CassetteError(
            f"llm_cassette: {shortened(name, _MOST_SHOWN)!r} is longer than the {_MAX_NAME_BYTES} bytes of a file's name"
        )
    return path


def _can_be_written(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def failed_path(cassette: Path, test_name: str = "") -> Path:
    """The file that keeps the recordings of a failed test, beside its cassette.

    Args:
        cassette: The test's cassette.
        test_name: Distinguishes the test from others that share the cassette.
    """
    stem = cassette.name.removesuffix(".gz").removesuffix(_SUFFIX).removesuffix(".yml")
    own = f".{file_name(test_name)}" if test_name else ""
    return cassette.with_name(_shortened(f"{stem}{own}", FAILED + _SUFFIX) + FAILED + _SUFFIX)


def _shortened(name: str, suffix: str = _SUFFIX) -> str:
    if len(name) + len(suffix) <= _MAX_NAME_BYTES and len(os.fsencode(name + suffix)) <= _MAX_NAME_BYTES:
        return name
    digest = _digest(name)
    # Cut as pytest-recording does, which counts characters; then cut further, because file systems count bytes.
    kept = name[: _MAX_NAME_BYTES - len(suffix) - len(digest) - 3]
    while len(os.fsencode(f"{kept}...{digest}{suffix}")) > _MAX_NAME_BYTES:
        kept = kept[:-1]
    return f"{kept}...{digest}"


def _digest(name: str) -> str:
    return hashlib.md5(name.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _is_inside(path: Path, directory: Path) -> bool:
    base = os.path.normpath(os.path.abspath(directory))  # noqa: PTH100 - links may lead anywhere, names may not
    return os.path.commonpath([base, os.path.normpath(os.path.abspath(path))]) == base  # noqa: PTH100
