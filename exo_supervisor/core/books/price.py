"""Money without fractions: pico-units (a millionth of a millionth) of the books' currency.

Providers price a million tokens with at most six decimals, so that a token costs a whole number of
pico-units and sums are exact, in whatever order they are made.
"""

from typing import Annotated

from msgspec import Meta, Struct

MOST = 10**18
"""Pico-units: a million of the currency, for one token or one request."""
Pico = Annotated[int, Meta(ge=0, le=MOST)]


class Tokens(Struct, frozen=True, gc=False):
    """What an attempt used; the parts count in the wholes, as OpenAI means it.

    `cached`, `cache_write` (with its part `cache_write_1h`) are in `prompt`, `reasoning` is in
    `completion`.
    """

    prompt: int
    completion: int
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0


class Price(Struct, frozen=True, gc=False, omit_defaults=True):
    """Pico-units a token, by its class; None: as `input`, `reasoning` as `output`.

    `request` is for each request. Of a longer prompt than `above`, of which the dearest tier counts
    that it reaches, all tokens cost what the tier says: there is no price of a part.
    """

    input: Pico
    output: Pico
    cached: Pico | None = None
    cache_write: Pico | None = None
    cache_write_1h: Pico | None = None
    reasoning: Pico | None = None
    request: Pico = 0
    above: Pico = 0
    tiers: tuple["Price", ...] = ()

    def at(self, prompt: int) -> "Price":
        """Return the tier that a prompt of so many tokens is in."""
        reached = [tier for tier in self.tiers if prompt > tier.above]
        return max(reached, key=lambda tier: tier.above, default=self)

    def cost(self, tokens: Tokens) -> int:
        """Return what an attempt cost; a part larger than its whole counts as the whole."""
        tier = self.at(tokens.prompt) if self.tiers else self
        cost = tokens.prompt * tier.input + tokens.completion * tier.output + tier.request
        if tokens.cached or tokens.cache_write:
            cost += _by_caching(tier, tokens)
        if tokens.reasoning:
            reasoning = min(tokens.reasoning, tokens.completion)
            cost += reasoning * (_or(tier.reasoning, tier.output) - tier.output)
        return cost

    def most(self, prompt: int, completion: int) -> int:
        """Return the most that so many tokens can cost, of whatever class they turn out to be."""
        most = _most(self, prompt, completion)
        for tier in self.tiers:
            if prompt > tier.above:
                most = max(most, _most(tier, prompt, completion))
        return most


def _most(tier: Price, prompt: int, completion: int) -> int:
    dearest = max(tier.input, tier.cached or 0, tier.cache_write or 0, tier.cache_write_1h or 0)
    return prompt * dearest + completion * max(tier.output, tier.reasoning or 0) + tier.request


def _by_caching(tier: Price, tokens: Tokens) -> int:
    """Return how much more a prompt costs, or less, for what a cache had of it and took."""
    cached = min(tokens.cached, tokens.prompt)
    written = min(tokens.cache_write, tokens.prompt - cached)
    for_an_hour = min(tokens.cache_write_1h, written)
    write = _or(tier.cache_write, tier.input)
    return (
        cached * (_or(tier.cached, tier.input) - tier.input)
        + written * (write - tier.input)
        + for_an_hour * (_or(tier.cache_write_1h, write) - write)
    )


def _or(price: int | None, other: int) -> int:
    return other if price is None else price
