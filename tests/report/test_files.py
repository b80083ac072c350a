"""The one function that writes reports."""

import os
import stat
from pathlib import Path

import pytest

from pytest_llm_usage.errors import ReportError
from pytest_llm_usage.report.files import append_report, write_report
from pytest_llm_usage.report.formats import FORMATS, STDOUT

JSON = FORMATS[0]
#: As every file of that format begins.
OLD = '{\n"format": 1, "old": 1}\n'


def test_makes_the_folder_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    line = write_report(JSON, tmp_path / "a" / "b" / "run.json", "{}\n")

    assert line == "Wrote JSON report to a/b/run.json"
    assert (tmp_path / "a" / "b" / "run.json").read_bytes() == b"{}\n"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["run.json"]


def test_has_the_permissions_of_any_new_file(tmp_path):
    write_report(JSON, tmp_path / "run.json", "{}")
    (tmp_path / "other").write_text("")

    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_hyphen_is_the_standard_output(capsys):
    assert write_report(JSON, STDOUT, "{}\n") is None
    assert capsys.readouterr().out == "{}\n"


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real.json").write_text(OLD)
    (tmp_path / "link.json").symlink_to("real.json")

    write_report(JSON, tmp_path / "link.json", "new")

    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


def test_a_device_is_written_to_and_not_replaced():
    device = Path(os.devnull)
    before = device.stat()
    write_report(JSON, device, "{}")
    assert device.stat().st_ino == before.st_ino


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text(OLD)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ReportError) as raised:
        write_report(JSON, path, "new")

    assert str(raised.value) == f"JSON report not written: {path}: No space left on device"
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ReportError, match=r"JSON report not written: .*: Is a directory"):
        write_report(JSON, tmp_path, "{}")


def test_appends(tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    append_report(path, "after\n")
    assert path.read_text() == "before\nafter\n"
    with pytest.raises(ReportError):
        append_report(tmp_path, "x")


@pytest.mark.parametrize("content", ["# a source file", "{}", "\x00\x01"])
def test_what_is_no_report_is_never_replaced(tmp_path, content):
    path = tmp_path / "agent.py"
    path.write_text(content)

    with pytest.raises(ReportError, match="already exists and is not such a report; choose another path"):
        write_report(JSON, path, "{}")

    assert path.read_text() == content


@pytest.mark.parametrize(
    "name", ["x" * 300, "a\0b", "file/below", "loop/below"], ids=["long", "nul", "below a file", "a loop of links"]
)
def test_a_path_that_cannot_be_is_one_line(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(ReportError) as raised:
        write_report(JSON, tmp_path / name, "{}")

    assert str(raised.value).startswith("JSON report not written: ")
    assert "\n" not in str(raised.value)


def test_a_lone_surrogate_costs_no_report(tmp_path):
    write_report(JSON, tmp_path / "run.json", "a\udc80b")

    assert (tmp_path / "run.json").read_text() == "a\\udc80b"
