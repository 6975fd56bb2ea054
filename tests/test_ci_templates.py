"""The scripts of the CI templates, run as they stand in the YAML: an empty home, a clean virtual
environment, a mirror on loopback.  What only the vendors' services can do holds no logic."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import fleet
from tests.upstream import UpstreamServer

ROOT = Path(__file__).parents[1]
ACTION = ROOT / "deploy/github-action/action.yml"
TEMPLATE = ROOT / "deploy/gitlab/kernsym-preseed.yml"
KERNELS = [fleet.debian(9), fleet.rocky(5)]
GONE = fleet.debian(99)
_EXPRESSION = re.compile(r"\$\{\{\s*(?P<name>[\w.-]+)\s*\}\}")


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    fleet.publish(tmp_path / "mirror", KERNELS)
    with UpstreamServer(tmp_path / "mirror") as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, mirror: UpstreamServer) -> Path:
    """A repository that a pipeline runs in."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "fleet.txt").write_text("\n".join(kernel.banner for kernel in KERNELS))
    (folder / "kernsym.toml").write_text(f"[builtin]\nsources = false\n{fleet.sources(mirror.url)}")
    return folder


def write_wheel(folder: Path) -> Path:
    """A package that pip installs without an index: the command, from this very checkout."""
    there = sysconfig.get_path("purelib")
    files = {
        "checkout.pth": f"import site; site.addsitedir({there!r})\n",
        "kernsym-9.dist-info/METADATA": "Metadata-Version: 2.1\nName: kernsym\nVersion: 9\n",
        "kernsym-9.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        "kernsym-9.dist-info/entry_points.txt": "[console_scripts]\n"
        "kernsym = kernsym.client.cli:main\n",
    }
    path = folder / "kernsym-9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr("kernsym-9.dist-info/RECORD", "".join(f"{name},,\n" for name in files))
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """As much of GitHub's runner as a composite action's scripts meet."""

    home: Path
    project: Path
    inputs: dict[str, str]
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)  # to PATH

    def run(self) -> int:
        """Every script of the action in its order, to the first that fails; its status."""
        action = yaml.safe_load(ACTION.read_text())
        given = {name: one.get("default", "") for name, one in action["inputs"].items()}
        for step in action["runs"]["steps"]:
            if "run" in step:
                status = self._step(step, {**given, **self.inputs})
                if status:
                    return status
        return 0

    def _step(self, step: dict[str, Any], inputs: dict[str, str]) -> int:
        files = {name: self.home / name for name in ("OUTPUT", "PATH", "STEP_SUMMARY")}
        for name in ("OUTPUT", "PATH"):
            files[name].write_text("")
        environment = clean(self.home, *self.added)
        environment |= {f"GITHUB_{name}": str(path) for name, path in files.items()}
        for name, value in step["env"].items():
            environment[name] = _EXPRESSION.sub(lambda one: self._value(one["name"], inputs), value)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=self.project, env=environment)
        lines = files["OUTPUT"].read_text().splitlines()
        self.outputs[step.get("id", "")] = dict(line.split("=", 1) for line in lines)
        self.added.extend(files["PATH"].read_text().split())
        return done.returncode

    def _value(self, name: str, inputs: dict[str, str]) -> str:
        known = {"runner.temp": str(self.home), "github.action_path": str(ACTION.parent)}
        if name in known:
            return known[name]
        if name.startswith("inputs."):
            return inputs[name.removeprefix("inputs.")]
        _, step, _, output = name.split(".")
        return self.outputs[step][output]


def clean(home: Path, *paths: str) -> dict[str, str]:
    """An environment with nothing of ours in it."""
    python = str(Path(sys.executable).resolve().parent)
    return {"HOME": str(home), "PATH": ":".join((*paths, python, "/usr/bin", "/bin"))}


def test_the_steps_of_the_action_for_github(
    project: Path, tmp_path: Path, mirror: UpstreamServer
) -> None:
    home = tmp_path / "runner"
    home.mkdir()
    inputs = {
        "list": "fleet.txt",
        "lock": "kernsym.lock",
        "config": "kernsym.toml",
        "install": str(write_wheel(tmp_path)),
    }
    runner = Runner(home=home, project=project, inputs=inputs)
    assert runner.run() == 0
    first = runner.outputs["key"]["digest"]
    came = runner.outputs["preseed"]
    assert came["status"] == "0" and came["changed"] == "true"
    assert ElementTree.parse(came["report"]).getroot().get("tests") == "2"
    assert "fetched" in (home / "STEP_SUMMARY").read_text()
    lock = (project / "kernsym.lock").read_text()
    assert all(kernel.key in lock for kernel in KERNELS)
    assert Path(runner.outputs["key"]["store"]).is_dir()

    # The next night: the same list with its lock, the store from the cache, and one that has gone.
    asked = dict(mirror.hits)
    again = Runner(home=home, project=project, inputs={**inputs, "locked": "true"})
    again.added.extend(runner.added)
    assert again.run() == 0 and again.outputs["preseed"]["changed"] == "false"
    assert again.outputs["key"]["digest"] != first, "list and lock are the key"
    assert mirror.hits == asked
    with (project / "fleet.txt").open("a") as file:
        file.write(f"\n{GONE.banner}\n")
    missing = Runner(home=home, project=project, inputs=inputs, added=runner.added)
    assert missing.run() == 4 and missing.outputs["preseed"]["status"] == "4"
    tolerant = {**inputs, "allow-missing": "true", "max-time": "1h", "max-bytes": "1G"}
    assert Runner(home=home, project=project, inputs=tolerant, added=runner.added).run() == 0


def test_the_script_of_the_template_for_gitlab(project: Path, tmp_path: Path) -> None:
    job = yaml.safe_load(TEMPLATE.read_text())[".kernsym-preseed"]
    variables = {name: str(value) for name, value in job["variables"].items()}
    environment = clean(tmp_path, str(Path(sys.executable).parent)) | variables
    environment |= {
        "CI_PROJECT_DIR": str(project),
        "KERNSYM_STORE": variables["KERNSYM_STORE"].replace("$CI_PROJECT_DIR", str(project)),
        "KERNSYM_ARGUMENTS": "--max-time 1h --config kernsym.toml",
    }

    def run() -> int:
        (script,) = job["script"]
        return subprocess.run(["sh", "-ec", script], cwd=project, env=environment).returncode

    assert run() == 0
    by_list, latest = job["cache"]
    assert by_list["fallback_keys"] == [latest["key"]] and by_list["paths"] == latest["paths"]
    (cached,) = latest["paths"]
    assert list((project / cached / "kernels").glob("*/*/*/*/manifest.json"))
    assert by_list["key"]["files"] == [
        variables["KERNSYM_LIST"],
        variables["KERNSYM_LOCK"],
    ]
    report = ElementTree.parse(project / job["artifacts"]["reports"]["junit"]).getroot()
    assert (report.get("tests"), report.get("failures")) == ("2", "0")
    assert (project / "kernsym.lock").is_file()
    (project / "fleet.txt").write_text(GONE.banner)
    assert run() == 4
