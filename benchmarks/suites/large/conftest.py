"""Measures the memory of the printing process, before its first report and after its last, and each report's time."""

import gc
import json
import os
import time
from pathlib import Path

import pytest

DETAILS = ("models", "tests", "calls", "why")


class Measured:
    def __init__(self, has_reports):
        self.bytes = {}
        self.seconds = {}
        if has_reports:
            self._time_reports()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self):
        if not self.bytes:
            self.bytes["before"] = _held()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self):
        self.bytes["after"] = _held()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        found = {"bytes": self.bytes, "seconds": self.seconds}
        Path(os.environ["BENCHMARK_RESULT"]).write_text(json.dumps(found))

    def _time_reports(self):
        from pytest_llm_usage.report import formats, terminal, write

        def timed(module, name, called):
            function = getattr(module, name)

            def wrapped(*args, **options):
                started = time.process_time()
                try:
                    return function(*args, **options)
                finally:
                    self.seconds[called(args)] = time.process_time() - started

            setattr(module, name, wrapped)

        timed(formats.ReportFormat, "render", lambda args: args[0].name)
        timed(write, "run_data", lambda _: "run_data")
        timed(write, "add_run", lambda _: "history")
        section_lines = terminal.section_lines

        def every_detail(run, detail, *rest, **options):
            for each in DETAILS:
                started = time.process_time()
                section_lines(run, each, *rest, **options)
                self.seconds[f"terminal, {each}"] = time.process_time() - started
            return section_lines(run, detail, *rest, **options)

        terminal.section_lines = every_detail


def _held():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Measured(config.pluginmanager.hasplugin("llm_usage")))
