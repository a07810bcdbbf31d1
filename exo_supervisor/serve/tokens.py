"""The tokens for TCP: those of the configuration, and those that were made since.

No token is kept, only its digest (SHA-256). What is looked up by a digest takes a time that tells
at most of the digest, and whoever sends a token cannot choose that.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Literal

import anyio
import msgspec
from msgspec import Meta, Struct

from exo_supervisor.errors import NotOursError, SupervisorError

MAX_TOKENS = 500
_PREFIX = "exs_"
"""What tells such a token from others', for whoever looks for lost ones."""
_BYTES = 32

MAX_CHARS = 128
"""Characters of what names a token, or its client."""
_Text = Annotated[str, Meta(max_length=MAX_CHARS)]
_Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Token(Struct, frozen=True):
    """What is kept of one; the times are seconds since 1970, and None is never."""

    id: _Text
    client: _Text
    sha256: _Hex
    made: float
    expires: float | None = None


class _File(Struct):
    version: Literal[1]
    tokens: Annotated[tuple[Token, ...], Meta(max_length=MAX_TOKENS)]


_decoder = msgspec.json.Decoder(_File)


class TooManyTokensError(SupervisorError):
    """There are as many as may be."""


def decode_tokens(content: bytes) -> tuple[Token, ...]:
    """Read what we wrote; raises NotOursError for anything else."""
    try:
        return _decoder.decode(content).tokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotOursError("it is not a list of tokens") from None


def digest_of(token: str) -> bytes:
    """Return what is kept of a token."""
    return sha256(token.encode(errors="surrogateescape")).digest()


async def _keep_nothing(_: bytes) -> None:
    return


class Tokens:
    """Owns them; `write` keeps those that were made, and may raise OSError or SupervisorError.

    Without it they end with the process.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        fixed: Mapping[bytes, str] = MappingProxyType({}),
        made: Iterable[Token] = (),
        write: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        self._wall, self._fixed, self._write = wall, fixed, write or _keep_nothing
        self.survive_restart = write is not None
        self._made = {bytes.fromhex(each.sha256): each for each in made}
        self._ending: dict[bytes, Token] = {}  # they hold no more, but may still be in the file
        self._writing = anyio.Lock()

    def client_of(self, token: str) -> str | None:
        """Name the client whose token this is; None: it is nobody's, or it is over."""
        digest = digest_of(token)
        found = self._made.get(digest)
        if found is None:
            return self._fixed.get(digest)
        return None if self._is_over(found) else found.client

    def rows(self) -> list[Token]:
        """List those that were made and hold, by client and age."""
        holding = (each for each in self._made.values() if not self._is_over(each))
        return sorted(holding, key=lambda each: (each.client, each.made))

    async def make(self, client: str, days: int | None) -> tuple[str, Token]:
        """Make a token for a client, which holds once it is kept."""
        if len(self.rows()) >= MAX_TOKENS:
            raise TooManyTokensError(f"there are {MAX_TOKENS} tokens: revoke some")
        text, now = _PREFIX + secrets.token_urlsafe(_BYTES), self._wall()
        digest = digest_of(text)
        token = Token(
            id=f"{client}.{digest.hex()[:8]}", client=client, sha256=digest.hex(), made=now,
            expires=None if days is None else now + days * 86_400,
        )  # fmt: skip
        async with self._writing:
            await self._keep({**self._made, digest: token})
            self._made[digest] = token
        return text, token

    async def revoke(self, name: str) -> list[str]:
        """Let a token hold no more, by its id, or all of a client, even where that is not kept.

        One that could not be kept may be said again: until it is, a restart brings the token back.
        """
        known = {**self._made, **self._ending}
        gone = {key: each for key, each in known.items() if name in (each.id, each.client)}
        if gone:
            self._made = {key: each for key, each in self._made.items() if key not in gone}
            self._ending |= gone
            async with self._writing:
                await self._keep(self._made)
        return sorted(each.id for each in gone.values())

    async def _keep(self, made: Mapping[bytes, Token]) -> None:
        left_out = [*self._ending]
        await self._write(self._encode(made))
        for digest in left_out:
            self._ending.pop(digest, None)

    def _encode(self, made: Mapping[bytes, Token]) -> bytes:
        holding = tuple(each for each in made.values() if not self._is_over(each))
        return msgspec.json.encode(_File(version=1, tokens=holding)) + b"\n"

    def _is_over(self, token: Token) -> bool:
        return token.expires is not None and self._wall() >= token.expires
