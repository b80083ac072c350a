"""Runs two sides in turn, and formats what was measured.

Both sides of a comparison run in one session of the benchmarks, alternately and in processes of their own, so that a busy
machine slows both. A figure is the median over the runs (for starts the least, which other work on the machine affects
least): of wall time for single calls, of processor time for suites and starts.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median

SUITES = Path(__file__).parent / "suites"

#: What a run of one side measured: seconds by what was measured.
Seconds = Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """One line of the report.

    Attributes:
        what: What was measured.
        ours_s: Seconds with pytest-llm-usage.
        other_s: Seconds with what it is compared with.
        most_ratio: The highest ratio that meets the target, or None.
        most_extra_s: The most seconds more that meet the target, or None.
    """

    what: str
    ours_s: float
    other_s: float
    most_ratio: float | None = None
    most_extra_s: float | None = None

    @property
    def ratio(self) -> float:
        """Our time as a share of the other's."""
        return self.ours_s / self.other_s

    @property
    def is_met(self) -> bool:
        """Whether the targets are met, if there are any."""
        return (self.most_ratio is None or self.ratio <= self.most_ratio) and (
            self.most_extra_s is None or self.ours_s - self.other_s <= self.most_extra_s
        )

    def __str__(self) -> str:
        line = f"{self.what:<56} {duration(self.ours_s)} {duration(self.other_s)} {self.ratio:7.2f}"
        targets = []
        if self.most_ratio is not None:
            targets.append(f"at most {self.most_ratio:.2f}")
        if self.most_extra_s is not None:
            targets.append(f"at most {duration(self.most_extra_s).strip()} more")
        return f"{line}   {' and '.join(targets)}{'' if self.is_met else '  MISSED'}".rstrip()


@dataclass(frozen=True)
class Figure:
    """One line of the report that is compared with nothing but its bound.

    Attributes:
        what: What was measured.
        value: What came out.
        most: The highest value that meets the target, or None.
        shown: Makes of a value what is printed.
    """

    what: str
    value: float
    most: float | None
    shown: Callable[[float], str]

    @property
    def is_met(self) -> bool:
        """Whether the target is met, if there is one."""
        return self.most is None or self.value <= self.most

    def __str__(self) -> str:
        target = "" if self.most is None else f"   at most {self.shown(self.most).strip()}"
        return f"{self.what:<56} {self.shown(self.value):>10}{target}{'' if self.is_met else '  MISSED'}"


def duration(seconds: float) -> str:
    """`seconds` in the unit that suits it, ten characters wide."""
    if seconds >= 1:
        return f"{seconds:8.2f} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:7.1f} ms"
    return f"{seconds * 1e6:7.1f} µs"


def alternate(
    sides: Mapping[str, Callable[[], Seconds]], rounds: int, figure: Callable[[list[float]], float] = median
) -> dict[str, dict[str, float]]:
    """Runs each side `rounds` times in turn, after a first round that is thrown away; returns figures by side and name.

    Every second round begins with the last side, so that no side always follows the same other one.
    """
    runs: dict[str, list[Seconds]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side in list(sides)[:: -1 if number % 2 else 1]:
            measured = sides[side]()
            if number:
                runs[side].append(measured)
    return {
        side: {what: figure([run[what] for run in measured]) for what in measured[0]} for side, measured in runs.items()
    }


def _environment() -> dict[str, str]:
    """This process's environment, in which Python keeps compiled modules from one start to the next, as usual."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def only(*plugins: str) -> list[str]:
    """Arguments with which pytest loads no installed plugins but `plugins`.

    Not `-p` with autoloading off: that searches all installed packages once for each name, a usual start only once.
    """
    others = {each.name for each in entry_points(group="pytest11")} - set(plugins)
    return [argument for name in sorted(others) for argument in ("-p", f"no:{name}")]


def processor_time_s(run: Callable[[], object]) -> float:
    """The processor time, in seconds, of the processes that `run` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def run_pytest(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], under: Sequence[str] = ()
) -> str:
    """Runs pytest in a process of its own, without the settings of this repository; returns what it prints.

    Args:
        arguments: For pytest.
        directory: Where it runs.
        environment: Variables beside those of this process.
        under: The command to run it under, if any.

    Raises:
        SystemExit: It failed; what it printed is shown.
    """
    command = [
        *under,
        sys.executable,
        "-m",
        "pytest",
        "-qx",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(directory),
        *arguments,
    ]
    done = subprocess.run(
        command, cwd=directory, env=_environment() | environment, capture_output=True, text=True, check=False
    )
    # 5: no tests, as in an empty suite.
    if done.returncode not in (0, 5):
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
