"""`--partial` at the command line: how it is said, and what is told."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from kernsym.client.cli import kernsym as command_line
from tests.conftest import WORLD, Kernsym
from tests.upstream import UpstreamServer


def test_a_package_that_cannot_be_entered_comes_whole(
    kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    done = kernsym("fetch", "--partial", WORLD / "vmcore")
    assert "the whole package is downloaded: its files cannot be found" in done.stderr
    assert done.stdout.strip().endswith("vmlinux-6.1.0-999-amd64")
    assert "unchecked" not in kernsym("show", "6.1.0-999-amd64").stdout


@pytest.mark.parametrize("command", ["fetch", "crash"])
def test_its_help_tells_both_forms(command: str) -> None:
    said = CliRunner().invoke(command_line, [command, "--help"]).output
    assert "--partial " in said and "--partial=only" in said
    assert "--partial-only" not in said


@pytest.mark.parametrize("words", [["--partial=never"], ["--partial=only", "--partial=x"]])
def test_other_forms_are_refused(words: list[str]) -> None:
    assert CliRunner().invoke(command_line, ["fetch", *words, "6.1.0-999-amd64"]).exit_code == 2
