"""Another policy and other keys take their place together, for what begins from then on."""

from exo_supervisor.core.events import Event, PolicyChanged
from exo_supervisor.core.policy import Policy
from exo_supervisor.runtime.policy_and_keys import PolicyAndKeys

OLD, NEW, TOKEN = "key-of-last-year", "newer-key-of-now", "token-of-the-house"
BEFORE, AFTER = Policy(), Policy(patience=1.0)


def test_the_core_is_told_of_the_policy_once_the_keys_are_the_new_ones() -> None:
    current = PolicyAndKeys(BEFORE, {"p": (OLD,)})
    told: list[tuple[Event, str | None, Policy]] = []
    current.swap(
        AFTER, {"p": (NEW,)}, lambda event: told.append((event, current.key("p"), current.policy()))
    )
    assert told == [(PolicyChanged(policy=AFTER), NEW, AFTER)]


def test_the_keys_are_one_mapping_until_others_take_their_place() -> None:
    current = PolicyAndKeys(BEFORE, {"p": (OLD,)})
    before = current.keys()
    assert current.keys() is before
    current.swap(AFTER, {"q": (None,)}, lambda _event: None)
    assert current.keys() == {"q": (None,)}
    assert (current.key("p"), current.key("q")) == (None, None)


def test_the_key_that_was_replaced_is_hidden_still_for_answers_under_way() -> None:
    current = PolicyAndKeys(BEFORE, {"p": (OLD,), "q": (None,)}, [TOKEN])
    said = f"{OLD} {NEW} {TOKEN}"
    assert current.hide(said) == f"[secret] {NEW} [secret]"
    current.swap(AFTER, {"p": (NEW,)}, lambda _event: None)
    assert current.hide(said) == "[secret] [secret] [secret]"
