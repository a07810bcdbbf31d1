"""The configured rows by every name that they have, and which rows stand in for which."""

from collections.abc import Iterable

from msgspec import Struct

from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.policy import ModelRule

ANY = "*"
"""Stands in a row's name for any characters, or for none."""


class Link(Struct, frozen=True):
    """Rows that are as good as each other, under the name of the one that was asked for."""

    name: str
    exo: tuple[ModelId, ...]
    cloud: tuple[tuple[ProviderName, ModelId], ...]


class Rows:
    """Finds rows by their names, aliases and patterns; the configuration has no cycle in them."""

    def __init__(self, rules: Iterable[ModelRule]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        named = {name: rule for rule in self._rules.values() for name in (rule.name, *rule.aliases)}
        self.named = {name: rule for name, rule in named.items() if ANY not in name}
        """By name and alias, as long as those stand for themselves."""
        self._patterns = sorted(
            ((name, rule) for name, rule in named.items() if ANY in name),
            key=lambda pattern: len(pattern[0]),
            reverse=True,
        )
        self._private_patterns = [pattern for pattern, rule in self._patterns if rule.local_only]

    def rule(self, name: str) -> ModelRule | None:
        """Return the row of this very name."""
        return self._rules.get(name)

    def matching(self, name: str) -> ModelRule | None:
        """Find the row of the longest pattern that a name fits."""
        return next((rule for pattern, rule in self._patterns if fits(pattern, name)), None)

    def keeps(self, name: str) -> bool:
        """Say whether a row that is local_only goes by a name, or any such pattern fits it."""
        named = self.named.get(name)
        if named is not None and named.local_only:
            return True
        return any(fits(pattern, name) for pattern in self._private_patterns)

    def chain(self, rule: ModelRule, barred: Iterable[str] = ()) -> tuple[Link, ...]:
        """List what serves a row, and then what does where that cannot, each row once.

        Nothing passes through a row that is barred.
        """
        seen = dict.fromkeys(barred)
        return tuple(self._links(rule, seen))

    def is_local(self, rule: ModelRule) -> bool:
        """Say whether any row on a row's way keeps the whole request in the house."""
        passed: dict[str, None] = {}
        list(self._links(rule, passed))
        return any(self._rules[name].local_only for name in passed)

    def _links(self, rule: ModelRule, seen: dict[str, None]) -> list[Link]:
        equals = self._equals(rule, seen)
        links = [
            Link(
                rule.name,
                tuple(dict.fromkeys(model for each in equals for model in each.exo)),
                tuple(dict.fromkeys(pair for each in equals for pair in each.cloud)),
            )
        ]
        for name in (name for each in equals for name in each.fallback):
            if name not in seen:
                links += self._links(self._rules[name], seen)
        return links

    def _equals(self, rule: ModelRule, seen: dict[str, None]) -> list[ModelRule]:
        seen[rule.name] = None
        found = [rule]
        for name in rule.any_of:
            if name not in seen:
                found += self._equals(self._rules[name], seen)
        return found


def fits(pattern: str, name: str) -> bool:
    """Say whether a name is what a pattern describes; the work grows no faster than the name."""
    if ANY not in pattern:
        return pattern == name
    head, *middle, tail = pattern.split(ANY)
    at, end = len(head), len(name) - len(tail)
    if at > end or not name.startswith(head) or not name.endswith(tail):
        return False
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def is_within(patterns: tuple[str, ...], *names: str) -> bool:
    """Say whether any of the patterns fits any of these names; where there is none, all fit."""
    return not patterns or any(fits(pattern, name) for pattern in patterns for name in names)
