"""What a target tells of a model beside its name."""

from msgspec import UNSET, Struct, UnsetType

from exo_supervisor.core.books.price import Price


class ModelFacts(Struct, frozen=True):
    """How many tokens it takes, 0 where nobody told, and what it can, in words for people.

    A `price` of None is one that nobody can know beforehand; UNSET: none was told.
    """

    context: int = 0
    capabilities: tuple[str, ...] = ()
    price: Price | UnsetType | None = UNSET


NO_FACTS = ModelFacts()
