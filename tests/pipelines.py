"""Runs workflow files as GitHub Actions and GitLab CI do: every command as it is written, in a shell, job by job.

Only what such a service adds is simulated: a fresh checkout for each job, artefacts, contexts and conditions, and what
`gh` and GitLab's API answer. Anything unknown raises a KeyError, so that no condition and no action goes untested.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import warm
import yaml

#: Answers as the GitHub CLI: the last good run, its artefacts, and the comments of the user whose token it is. That user is
#: the same for every workflow of a repository; an artefact that is named in `$STORE/expired` was deleted since.
GH = """#!/bin/sh -e
command="$1 $2"; id="$3"; workflow=; name=; dir=; file=; edits=; fields=; query=
for word in "$@"; do case "$word" in
  --workflow=*) workflow="${word#*=}";; --name=*) name="${word#*=}";; --dir=*) dir="${word#*=}";; --body-file=*) file="${word#*=}";;
  --edit-last) edits=1;; --json=*) fields="${word#*=}";; --jq=*) query="${word#*=}";; --field=body=@*) file="${word#*@}";;
esac; done
comments="$STORE/comments"; mkdir -p "$comments"
case "$command" in
  "run list") test ! -f "$STORE/$workflow" || cat "$STORE/$workflow";;
  "run download")
    if test -f "$STORE/expired"; then echo "no valid artifacts found to download" >&2; exit 1; fi
    mkdir -p "$dir"; cp -r "$STORE/runs/$id/$name/." "$dir";;
  "api repos/birds/agent/actions/runs/"*)
    test "$query" = '.artifacts[] | select(.expired | not) | .id'
    case "$2" in *"?name=llm-usage" | *"?name=llm-usage-live") ;; *) exit 2;; esac
    test -f "$STORE/expired" || echo 1;;
  "pr view")
    test "$fields" = comments
    test "$query" = '.comments[] | select(.viewerDidAuthor and (.body | startswith("<!-- pytest-llm-usage -->"))) | .url'
    for comment in "$comments"/*; do
      if test -f "$comment" && head -1 "$comment" | grep -q '^<!-- pytest-llm-usage -->'; then
        echo "https://github.com/birds/agent/pull/$id#issuecomment-${comment##*/}"
      fi
    done;;
  "api repos/birds/agent/issues/comments/"*)
    test "$GH_TOKEN" = a-token-that-may-write; test -f "$comments/${2##*/}"; cp "$file" "$comments/${2##*/}";;
  "pr comment")
    test "$GH_TOKEN" = a-token-that-may-write
    number=$(ls "$comments" | wc -l); test "$edits" && test "$number" != 0 || number=$((number + 1))
    cp "$file" "$comments/$number";;
  *) exit 2;;
esac
"""


@dataclass
class Service:
    """What both services have in common.

    Attributes:
        checkout: The project, as it is checked out for each job.
        folder: Where jobs run and artefacts are kept.
        environment: Of every command.
        output: What all commands printed.
    """

    checkout: Path
    folder: Path
    environment: Mapping[str, str]
    output: str = ""
    _jobs: int = 0

    def __post_init__(self) -> None:
        commands = self.folder / "bin"
        commands.mkdir(parents=True)
        # What a job installs is here already, and its interpreters have imported what they need (`warm`).
        python = f"exec {shlex.join(warm.SERVER.command())}"
        programs = {
            "gh": GH,
            "pip": '#!/bin/sh\ntest "$1" = install\n',
            "python": f'#!/bin/sh\n{python} "$@"\n',
            "pytest": f'#!/bin/sh\n{python} -m pytest "$@"\n',
            "pytest-llm-usage": f"#!/bin/sh\n{python} -c 'import sys; from pytest_llm_usage.cli import main; sys.exit(main())' \"$@\"\n",
        }
        for name, text in programs.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        path = os.pathsep.join((str(commands), str(Path(sys.executable).parent), os.environ["PATH"]))
        self.environment = {**self.environment, "PATH": path, "STORE": str(self.store)}
        self.store.mkdir()

    @property
    def store(self) -> Path:
        """What outlives a run."""
        return self.folder / "store"

    def _workspace(self, *, is_checked_out: bool = True) -> Path:
        self._jobs += 1
        if not is_checked_out:
            (folder := self.folder / f"job-{self._jobs}").mkdir()
            return folder
        return shutil.copytree(self.checkout, self.folder / f"job-{self._jobs}")

    def _shell(self, shell: str, text: str, workspace: Path, environment: Mapping[str, Any]) -> bool:
        """Whether the commands went well."""
        done = subprocess.run(
            [shell, "-e", "-c", text],
            cwd=workspace,
            env=self.environment | {name: str(value) for name, value in environment.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )
        self.output += f"$ {text}\n{done.stdout}"
        return done.returncode == 0


@dataclass
class GitHub(Service):
    """GitHub Actions."""

    _runs: int = 0

    @property
    def comments(self) -> list[str]:
        """The comments on the pull request, the oldest first."""
        return [file.read_text(encoding="utf-8") for file in sorted((self.store / "comments").glob("*"))]

    def add_comment(self, text: str) -> None:
        """Adds what another workflow of the repository comments: as the same user."""
        (folder := self.store / "comments").mkdir(exist_ok=True)
        (folder / str(len(self.comments) + 1)).write_text(text, encoding="utf-8")

    def run(self, workflow: str, event: str, *, is_fork: bool = False) -> bool:
        """Whether the run of a workflow file is green."""
        self.output = ""
        self._runs += 1
        path = self.checkout / ".github" / "workflows" / workflow
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        # YAML 1.1 takes the key `on` for a truth value.
        assert event in content[True]
        repository, is_pull_request = "birds/agent", event == "pull_request"
        self._contexts = {
            "github.event_name": event,
            "github.base_ref": "main" if is_pull_request else "",
            "github.event.number": "17" if is_pull_request else "",
            "github.event.pull_request.head.repo.full_name": ("fork/agent" if is_fork else repository)
            if is_pull_request
            else "",
            "github.repository": repository,
            "secrets.OPENAI_API_KEY": "" if is_fork else "a-key",
        }
        failed: set[str] = set()
        for name, job in content["jobs"].items():
            if job.get("needs") in failed and "if" not in job:
                failed.add(name)
                continue
            if not _holds(job.get("if", "${{ !cancelled() }}"), self._contexts):
                continue
            matrix = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
            # Other permissions are not simulated.
            assert set(job["permissions"]) <= {"actions", "contents", "pull-requests"}
            for combination in matrix:
                if not self._job(content["name"], job, {f"matrix.{key}": value for key, value in combination.items()}):
                    failed.add(name)
        if not failed and event != "pull_request":
            (self.store / content["name"]).write_text(str(self._runs))
        return not failed

    def _job(self, workflow: str, job: Mapping[str, Any], matrix: Mapping[str, Any]) -> bool:
        may_write = job["permissions"].get("pull-requests") == "write"
        token = "a-token-that-may-write" if may_write else "a-token"
        known = self._contexts | {"github.token": token} | matrix
        own = {"GITHUB_WORKFLOW": workflow, "GITHUB_STEP_SUMMARY": str(self.store / "summary.md")}
        return self._steps(job["steps"], own | job.get("env", {}), self._workspace(), known)

    def _steps(
        self, steps: list[Mapping[str, Any]], environment: Mapping[str, str], workspace: Path, known: Mapping[str, Any]
    ) -> bool:
        is_green, known = True, dict(known)
        for number, step in enumerate(steps):
            condition = step.get("if", "${{ !cancelled() }}" if is_green else "")
            if not condition or not (is_green or "cancelled()" in condition) or not _holds(condition, known):
                continue
            options = {name: _filled(value, known) for name, value in step.get("with", {}).items()}
            if "run" in step:
                assert "${{" not in step["run"], "a value that others write may not become a command"
                outputs = self.folder / f"outputs-{self._jobs}-{number}"
                values = environment | step.get("env", {}) | {"GITHUB_OUTPUT": str(outputs)}
                values = {name: _filled(value, known) for name, value in values.items()}
                is_green &= self._shell(step.get("shell", "bash"), step["run"], workspace, values)
                for line in outputs.read_text().splitlines() if outputs.exists() else ():
                    name, _, value = line.partition("=")
                    known[f"steps.{step['id']}.outputs.{name}"] = value
            elif step["uses"].startswith("./"):
                is_green &= self._composite(step["uses"], options, environment, workspace, known)
            else:
                assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
                self._action(step["uses"].partition("@")[0].removeprefix("actions/"), options, workspace)
        return is_green

    def _composite(
        self,
        folder: str,
        options: Mapping[str, str],
        environment: Mapping[str, str],
        workspace: Path,
        known: Mapping[str, Any],
    ) -> bool:
        """An action that is steps: those of its `action.yml`, with its inputs and without the job's own contexts."""
        action = yaml.safe_load((self.checkout / folder / "action.yml").read_text(encoding="utf-8"))
        assert action["runs"]["using"] == "composite"
        assert options.keys() <= action["inputs"].keys()
        inputs = {
            f"inputs.{name}": options.get(name, _filled(declared["default"], known))
            for name, declared in action["inputs"].items()
        }
        outside = {name: value for name, value in known.items() if name.startswith("github.")}
        return self._steps(action["runs"]["steps"], environment, workspace, outside | inputs)

    def _action(self, action: str, options: Mapping[str, str], workspace: Path) -> None:
        artefacts = self.store / "runs" / str(self._runs)
        match action:
            case "checkout":
                assert options["persist-credentials"] == "False"
            case "setup-python":
                pass
            case "upload-artifact":
                source, target = workspace / options["path"], artefacts / options["name"]
                if source.is_dir():
                    shutil.copytree(source, target)
                elif source.exists():
                    target.mkdir(parents=True)
                    shutil.copy(source, target)
            case "download-artifact":
                assert options["merge-multiple"] == "True"
                for found in artefacts.iterdir() if artefacts.is_dir() else ():
                    if fnmatch(found.name, options["pattern"]):
                        shutil.copytree(found, workspace, dirs_exist_ok=True)
            case _:
                raise KeyError(action)


def _filled(text: object, known: Mapping[str, Any]) -> str:
    """A text with the values of the contexts that it names."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: str(known[found[1]]), str(text))


def _holds(condition: str, known: Mapping[str, Any]) -> bool:
    """Whether a condition holds: comparisons with `==` and `!=`, and `!cancelled()`, joined by `&&`."""

    def value(term: str) -> Any:
        return term[1:-1] if term.startswith("'") else known[term]

    for term in condition.removeprefix("${{ ").removesuffix(" }}").split(" && "):
        if term == "!cancelled()":
            continue
        left, operator, right = term.split(" ")
        assert operator in ("==", "!=")
        if (value(left) == value(right)) != (operator == "=="):
            return False
    return True


@dataclass
class GitLab(Service):
    """GitLab CI, with as much of its API as the jobs ask for.

    Attributes:
        notes: The notes on the merge request.
    """

    notes: list[str] = field(default_factory=list)

    def run(self, source: str) -> bool:
        """Whether a pipeline is green; `source` is as GitLab has it, `push` is one to the default branch."""
        self.output = ""
        content = yaml.safe_load((self.checkout / ".gitlab-ci.yml").read_text(encoding="utf-8"))
        setup = content.pop("default")["before_script"]
        default_branch = '$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH'
        rules = {f'$CI_PIPELINE_SOURCE == "{name}"': source == name for name in ("merge_request_event", "schedule")}
        rules[default_branch] = source == "push"
        artefacts = self.folder / f"artefacts-{self._jobs}"
        artefacts.mkdir()
        is_green = True
        with self._api() as url:
            variables = {"CI_API_V4_URL": url, "CI_PROJECT_ID": "4", "CI_JOB_TOKEN": "t", "CI_DEFAULT_BRANCH": "main"}
            variables |= {"CI_MERGE_REQUEST_IID": "17"} if source == "merge_request_event" else {}
            for job in content.values():
                rule = next((rule for rule in job["rules"] if rules[rule["if"]]), None)
                if rule is None or not (is_green or rule.get("when") == "always"):
                    continue
                for combination in job.get("parallel", {}).get("matrix", [{}]):
                    own = job.get("variables", {})
                    is_checked_out = own.get("GIT_STRATEGY") != "none"
                    workspace = self._workspace(is_checked_out=is_checked_out)
                    if "needs" in job:
                        shutil.copytree(artefacts, workspace, dirs_exist_ok=True)
                    environment = variables | combination | own
                    if job.get("environment", {}).get("name") == "llm-usage-note":
                        # The variable's scope.
                        environment["LLM_USAGE_TOKEN"] = "t"
                    before = setup if job.get("inherit", {}).get("default", True) else ()
                    is_green &= self._shell("sh", "\n".join([*before, *job["script"]]), workspace, environment)
                    for pattern in job.get("artifacts", {}).get("paths", ()):
                        for found in workspace.glob(pattern):
                            (shutil.copytree if found.is_dir() else shutil.copy)(found, artefacts / found.name)
        if is_green and source != "merge_request_event":
            shutil.copytree(artefacts, self.store, dirs_exist_ok=True)
        return is_green

    @contextmanager
    def _api(self) -> Iterator[str]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path.removeprefix("/projects/4/jobs/artifacts/main/")
                names = {"raw/run.json": "run.json", "download": "night"}
                stored = service.store / names[path]
                if not stored.exists():
                    self.send_error(404)
                    return
                self._answer(stored.read_bytes() if stored.is_file() else _zipped(stored))

            def do_POST(self) -> None:
                assert self.path == "/projects/4/merge_requests/17/notes"
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                service.notes.append(parse_qs(form)["body"][0])
                self._answer(b"{}")

            def _answer(self, content: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{folder.name}/{file.name}")
    return content.getvalue()
