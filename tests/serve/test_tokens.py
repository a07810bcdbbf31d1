"""A token holds from when it is kept until it is revoked or over, and nobody keeps the token."""

import json

import anyio
import pytest
from anyio.lowlevel import checkpoint

from exo_supervisor.errors import NotOursError
from exo_supervisor.serve.tokens import (
    MAX_CHARS,
    MAX_TOKENS,
    Token,
    Tokens,
    TooManyTokensError,
    decode_tokens,
    digest_of,
)

DAY = 86_400.0


class House:
    """A wall clock, a file, and the tokens that are kept there."""

    def __init__(self) -> None:
        self.now, self.file, self.full = 0.0, b"", False
        self.tokens = self.restarted()

    def restarted(self) -> Tokens:
        made = decode_tokens(self.file) if self.file else ()
        fixed = {digest_of("of-the-file"): "kids"}
        self.tokens = Tokens(lambda: self.now, fixed, made, self._write)
        return self.tokens

    async def _write(self, content: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        await checkpoint()
        self.file = content


async def test_a_token_holds_across_restarts_and_is_kept_nowhere() -> None:
    house = House()
    text, token = await house.tokens.make("kids", None)
    assert (text[:4], token.client, token.expires) == ("exs_", "kids", None)
    for tokens in (house.tokens, house.restarted()):
        assert tokens.client_of(text) == "kids"
        assert tokens.client_of(text + "x") is None
        assert tokens.client_of("of-the-file") == "kids"
        assert [each.id for each in tokens.rows()] == [token.id]
    assert text.encode() not in house.file
    assert text[4:].encode() not in house.file


async def test_one_that_is_over_is_nobodys_and_is_forgotten() -> None:
    house = House()
    text, token = await house.tokens.make("kids", 2)
    assert token.expires == 2 * DAY
    house.now = 2 * DAY - 1
    assert house.tokens.client_of(text) == "kids"
    house.now = 2 * DAY
    assert house.tokens.client_of(text) is None
    assert house.tokens.rows() == []
    await house.tokens.make("kids", None)
    assert token.sha256.encode() not in house.file


async def test_tokens_are_revoked_one_by_one_or_all_of_a_client() -> None:
    house = House()
    made = [await house.tokens.make(client, None) for client in ("kids", "kids", "office")]
    (first, one), (second, _), (other, _) = made
    assert await house.tokens.revoke(one.id) == [one.id]
    assert [house.tokens.client_of(text) for text in (first, second, other)] == [
        None, "kids", "office",
    ]  # fmt: skip
    assert len(await house.tokens.revoke("kids")) == 1
    assert await house.tokens.revoke("kids") == []
    assert [house.restarted().client_of(each) for each in (first, second, other)] == [
        None, None, "office",
    ]  # fmt: skip


async def test_what_cannot_be_kept_is_not_made_and_what_is_revoked_is_over_all_the_same() -> None:
    house = House()
    text, token = await house.tokens.make("kids", None)
    house.full = True
    with pytest.raises(OSError, match="No space"):
        await house.tokens.make("kids", None)
    assert [each.id for each in house.tokens.rows()] == [token.id]
    with pytest.raises(OSError, match="No space"):
        await house.tokens.revoke(token.id)
    assert house.tokens.client_of(text) is None


async def test_who_could_not_be_revoked_for_good_is_when_it_is_said_again() -> None:
    house = House()
    for by_client in (False, True):
        text, token = await house.tokens.make("kids", None)
        name = "kids" if by_client else token.id
        house.full = True
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                await house.tokens.revoke(name)
            assert house.tokens.client_of(text) is None
        assert decode_tokens(house.file) == (token,), "a restart would bring it back"
        house.full = False
        assert await house.tokens.revoke(name) == [token.id]
        assert await house.tokens.revoke(name) == []
        assert decode_tokens(house.file) == ()


async def test_what_is_revoked_while_another_is_kept_is_kept_too() -> None:
    house = House()
    text, token = await house.tokens.make("kids", None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(house.tokens.make, "office", None)
        await checkpoint()
        tasks.start_soon(house.tokens.revoke, token.id)
    assert house.restarted().client_of(text) is None
    assert len(house.tokens.rows()) == 1


async def test_those_that_are_made_at_once_are_all_kept() -> None:
    house = House()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(house.tokens.make, "kids", None)
    assert len(house.restarted().rows()) == 5


async def test_there_is_a_bound() -> None:
    house = House()
    made = tuple(Token(f"t{n}", "kids", f"{n:064x}", 0.0) for n in range(MAX_TOKENS))
    tokens = Tokens(lambda: 0.0, made=made)
    with pytest.raises(TooManyTokensError):
        await tokens.make("kids", None)
    await tokens.revoke("t7")
    await tokens.make("kids", None)
    assert house.file == b""


def test_a_name_and_their_number_have_bounds() -> None:
    for name, fits in (("n" * MAX_CHARS, True), ("n" * (MAX_CHARS + 1), False)):
        for row in (ROW | {"id": name}, ROW | {"client": name}):
            content = json.dumps({"version": 1, "tokens": [row] * MAX_TOKENS}).encode()
            if fits:
                assert len(decode_tokens(content)) == MAX_TOKENS
                continue
            with pytest.raises(NotOursError):
                decode_tokens(content)


ROW = {"id": "a", "client": "kids", "sha256": "0" * 64, "made": 0.0, "expires": None}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff", b"[" * 100_000, b'{"version":1}',
        json.dumps({"version": 2, "tokens": []}).encode(),
        json.dumps({"version": 1, "tokens": [ROW | {"sha256": "0" * 63}]}).encode(),
        json.dumps({"version": 1, "tokens": [ROW | {"made": "now"}]}).encode(),
        json.dumps({"version": 1, "tokens": [ROW] * (MAX_TOKENS + 1)}).encode(),
    ],
)  # fmt: skip
def test_a_file_that_we_have_not_written_is_refused(content: bytes) -> None:
    with pytest.raises(NotOursError):
        decode_tokens(content)
    assert decode_tokens(json.dumps({"version": 1, "tokens": [ROW]}).encode())
