"""The policy and the keys that hold now: whoever needs one of them while we run asks here.

`swap` is the place of a reload, which nothing asks for yet. What is read once at the start it does
not reach: the listeners, the bounds of bodies and requests, who is asked for lists, health's times.
"""

from collections.abc import Callable, Iterable, Mapping

from exo_supervisor.core.events import Event, PolicyChanged
from exo_supervisor.core.keys import Keys
from exo_supervisor.core.policy import Policy

KeysByName = Mapping[str, tuple[str | None, ...]]
"""Each provider's keys, at the places by which the core knows them; None: it needs none."""


class PolicyAndKeys:
    """Owns them, and puts others in their place; `secrets` are what else must not be told of."""

    def __init__(self, policy: Policy, keys: KeysByName, secrets: Iterable[str] = ()) -> None:
        self._policy, self._keys, self._secrets = policy, keys, tuple(secrets)
        self._hidden = self._hide(keys)

    def policy(self) -> Policy:
        """Return the policy that decisions are made by."""
        return self._policy

    def keys(self) -> KeysByName:
        """Return the keys of new attempts: one mapping until another takes its place."""
        return self._keys

    def key(self, provider: str) -> str | None:
        """Return one provider's first key, for whoever asks it for its list."""
        return next(iter(self._keys.get(provider, ())), None)

    def hide(self, text: str) -> str:
        """Take out our secrets, and those replaced last: an answer may be of then."""
        return self._hidden.hide(text)

    def swap(self, policy: Policy, keys: KeysByName, ask: Callable[[Event], None]) -> None:
        """Put others in their place: what is asked from here on goes by them, what began goes on.

        The keys come first, since who waits may be sent on by the new policy at once.
        """
        self._hidden = self._hide(self._keys, keys)
        self._policy, self._keys = policy, keys
        ask(PolicyChanged(policy=policy))

    def _hide(self, *keys: KeysByName) -> Keys:
        held = (key for each in keys for of_one in each.values() for key in of_one)
        return Keys([*filter(None, held), *self._secrets])
