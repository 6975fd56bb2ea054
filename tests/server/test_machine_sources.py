"""apt's folder as it lies on a machine."""

from __future__ import annotations

from pathlib import Path

from kernsym.server.machine_sources import machine_sources


def test_lists_and_deb822_are_read_in_order(tmp_path: Path) -> None:
    parts, keys = tmp_path / "sources.list.d", tmp_path / "trusted.gpg.d"
    parts.mkdir()
    keys.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    (parts / "b.sources").write_text(
        "Types: deb\nURIs: http://b.example\nSuites: sid\nComponents: main\nSigned-By: /b.gpg\n"
    )
    (parts / "a.list").write_text("deb http://c.example sid main\n")
    (parts / "a.list.save").write_text("deb http://old.example sid main\n")
    (keys / "one.asc").write_text("key")
    (keys / "note.txt").write_text("no key")
    found = machine_sources(tmp_path)
    assert [source.url.split("/")[2] for source in found] == ["a.example", "c.example", "b.example"]
    assert found[0].signed_by == (str(keys / "one.asc"),)
    assert found[2].signed_by == ("/b.gpg",)
    assert found[2].origin == str(parts / "b.sources")


def test_a_machine_without_apt_has_none(tmp_path: Path) -> None:
    assert machine_sources(tmp_path / "no-such-folder") == ()


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "sources.list").mkdir()
    assert machine_sources(tmp_path) == ()
