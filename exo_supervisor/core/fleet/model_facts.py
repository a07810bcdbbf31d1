"""What a target tells of a model beside its name."""

from msgspec import Struct


class ModelFacts(Struct, frozen=True):
    """How many tokens it takes, 0 where nobody told, and what it can, in words for people."""

    context: int = 0
    capabilities: tuple[str, ...] = ()


NO_FACTS = ModelFacts()
