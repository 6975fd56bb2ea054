"""Where the configuration and the store are found: flag over environment over file over default."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernsym.cache import read_config, store_folder
from kernsym.distros import Unusable


def test_the_first_configuration_that_exists_counts(tmp_path: Path) -> None:
    named, usual = tmp_path / "named.toml", tmp_path / "kernsym/kernsym.toml"
    usual.parent.mkdir()
    usual.write_text('store = "/usual"')
    named.write_text('store = "/named"')
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert read_config(None, home) == {"store": "/usual"}
    assert read_config(None, {**home, "KERNSYM_CONFIG": str(named)}) == {"store": "/named"}
    assert read_config(named, home) == {"store": "/named"}
    assert read_config(None, {"XDG_CONFIG_HOME": str(tmp_path / "none")}) == {}


@pytest.mark.parametrize(
    ("content", "code"), [(None, "config-not-found"), ("store = [", "config-broken")]
)
def test_a_named_configuration_must_be_there_and_whole(
    tmp_path: Path, content: str | None, code: str
) -> None:
    path = tmp_path / "kernsym.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unusable) as caught:
        read_config(path, {})
    assert caught.value.code == code and str(path) in caught.value.message


@pytest.mark.parametrize(
    ("flag", "config", "environment", "expected"),
    [
        ("/flag", {"store": "/file"}, {"KERNSYM_STORE": "/env"}, "/flag"),
        (None, {"store": "/file"}, {"KERNSYM_STORE": "/env"}, "/env"),
        (None, {"store": "/file"}, {"XDG_CACHE_HOME": "/xdg"}, "/file"),
        (None, {}, {"XDG_CACHE_HOME": "/xdg"}, "/xdg/kernsym"),
    ],
)
def test_the_store_is_where_the_nearest_says(
    flag: str | None, config: dict[str, str], environment: dict[str, str], expected: str
) -> None:
    assert store_folder(Path(flag) if flag else None, config, environment) == Path(expected)
