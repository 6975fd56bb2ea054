"""The file of tokens: what is in it, and what is not believed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from kernsym.cache.tokens import (
    TokenRole,
    add_token,
    id_of,
    new_token,
    read_tokens,
    revoke_token,
)
from kernsym.distros import KernsymError, Unusable

SOON = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def test_the_file_keeps_no_token_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token, words = new_token(TokenRole.FETCH, expires=SOON, comment="CI of\nthe  team")
    add_token(path, token)
    text = path.read_text()
    assert words not in text and words.split("_", 2)[2] not in text
    assert text.startswith(f"{token.id} fetch 2030-01-02T03:04:05Z sha256:")
    assert text.endswith(" CI of the team\n") and text.count("\n") == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_tokens(path) == (token,)


def test_a_token_is_its_own_and_no_other(tmp_path: Path) -> None:
    first, words = new_token(TokenRole.READ)
    second, others = new_token(TokenRole.READ)
    assert first.is_of(words) and not first.is_of(others) and not first.is_of(words[:-1])
    assert id_of(words) == first.id != second.id
    assert len(words) > 50
    assert [id_of(text) for text in ("", "x_y_z", "kernsym_", "kernsym_abc", "kernsym__x")] == [
        "",
        "",
        "",
        "",
        "",
    ]


def test_revoked_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("# of the support team\n\n")
    path.chmod(0o640)
    tokens = [new_token(TokenRole.READ)[0] for _ in range(3)]
    for token in tokens:
        add_token(path, token)
    revoke_token(path, tokens[1].id)
    assert read_tokens(path) == (tokens[0], tokens[2])
    assert path.read_text().startswith("# of the support team\n\n")
    assert path.stat().st_mode & 0o777 == 0o640, "whoever may read it may do so still"
    with pytest.raises(KernsymError, match="has no token"):
        revoke_token(path, tokens[1].id)


def test_a_line_without_an_end_is_not_joined_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = new_token(TokenRole.ADMIN)[0]
    add_token(path, token)
    path.write_text(path.read_text().rstrip("\n"))
    add_token(path, new_token(TokenRole.READ)[0])
    assert [each.role for each in read_tokens(path)] == [TokenRole.ADMIN, TokenRole.READ]


def test_expired() -> None:
    now = datetime.now(timezone.utc)
    assert not new_token(TokenRole.READ)[0].expired()
    assert not new_token(TokenRole.READ, expires=now + timedelta(hours=1))[0].expired()
    assert new_token(TokenRole.READ, expires=now - timedelta(seconds=1))[0].expired()


def test_each_role_allows_what_those_below_do() -> None:
    allowed = [[have.allows(need) for need in TokenRole] for have in TokenRole]
    assert allowed == [[True, False, False], [True, True, False], [True, True, True]]


HASH = "ab" * 32


@pytest.mark.parametrize(
    "line",
    [
        "0a1b2c3d",
        f"0a1b2c3d root - sha256:{HASH}",
        f"0a1b2c3d read soon sha256:{HASH}",
        f"0a1b2c3d read - md5:{HASH}",
        f"0a1b2c3d read - sha256:{HASH[1:]}",
        f"../../etc read - sha256:{HASH}",
        "kernsym_0a1b2c3d_secret read",
    ],
)
def test_a_broken_line_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    """It may be a token that somebody has put there by mistake."""
    path = tmp_path / "tokens"
    path.write_text(f"# one\n{line}\n")
    with pytest.raises(Unusable, match="line 2 of") as caught:
        read_tokens(path)
    assert "secret" not in str(caught.value)


def test_a_file_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add_token(path, new_token(TokenRole.ADMIN)[0])
    path.chmod(0o620)
    with pytest.raises(Unusable, match="others may write") as caught:
        read_tokens(path)
    assert caught.value.hint == f"run chmod 600 {path}"
