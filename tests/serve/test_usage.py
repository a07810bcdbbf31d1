"""What an attempt used is what its target told, or is reckoned, and then it says so."""

import json
from collections.abc import Callable
from typing import TypedDict, Unpack

import pytest
from msgspec import structs

from exo_supervisor.core.books.book import Dated, Match, Priced, Prices
from exo_supervisor.core.books.price import Price
from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.serve.context import BeginEnergy
from exo_supervisor.serve.usage import tokens_of
from exo_supervisor.views.request_done import AttemptDone
from tests.serve.test_attempt import STOP, Step, text
from tests.serve.virtual import JSON, RESET, SSE, House, refusal, start
from tests.wire.anthropic.test_reader import ended, said, started

HEAD: Step = (0.0, (200, SSE))
DONE = b"data: [DONE]\n\n"
COUNTS = {"prompt_tokens": 90, "completion_tokens": 2, "total_tokens": 92}


def chunk(**more: object) -> bytes:
    return f"data: {json.dumps({'choices': [], **more})}\n\n".encode()


class Booked(TypedDict, total=False):
    """What a house may know of money."""

    prices: Prices
    reference: tuple[str, str]
    energy: BeginEnergy


def attempt(
    *steps: Step, dialect: str | None = None, hide: Callable[[str], str] = str,
    generation: Generation | None = None, **more: Unpack[Booked],
) -> AttemptDone:  # fmt: skip
    """Have one attempt, after which nobody else is asked."""
    house = House(
        lambda request: structs.replace(start(request, generation=generation), dialect=dialect),
        refusal,
        hide=hide,
    )
    context = structs.replace(house.ingress.context, **more)
    house.ingress = structs.replace(house.ingress, context=context)
    house.target.steps = [list(steps)]
    house.chat(messages=[{"role": "user", "content": "x" * 400}], max_tokens=5)
    house.loop.run(900.0)
    (done,) = house.done[0].tried
    return done


def used(done: AttemptDone) -> tuple[int | None, int | None, bool]:
    return done.prompt_tokens, done.completion_tokens, done.estimated


def test_what_the_target_tells_counts() -> None:
    told = chunk(id="gen-1", usage=COUNTS | {"cost": 1.4e-05})
    done = attempt(HEAD, (1.0, text("a") + STOP + told + DONE))
    assert used(done) == (90, 2, False)
    assert (done.number, done.response_id, done.reported_cost) == (1, "gen-1", 14_000_000)


def test_an_answer_that_dies_is_reckoned_by_what_came_of_it() -> None:
    done = attempt(HEAD, (1.0, text("a") + text("b") + text("c")), (0.0, RESET))
    prompt, *rest = used(done)
    assert (prompt or 0) > 100
    assert rest == [3, True]


def test_a_count_of_the_beginning_is_none_of_an_answer_that_dies() -> None:
    """Anthropic tells the prompt's tokens at the start, and 1 for the answer."""
    begun = started() + said("a", "b", "c")
    done = attempt(HEAD, (1.0, begun), (0.0, RESET), dialect="anthropic")
    assert used(done) == (10, 3, True)
    assert done.response_id == "msg_theirs"
    one = attempt(HEAD, (1.0, started() + said("a")), (0.0, RESET), dialect="anthropic")
    assert used(one) == (10, 1, False), "no more came than it told of"


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([HEAD, (1.0, RESET)], Fault.RESET),
        ([HEAD, (800.0, RESET)], Fault.FIRST_CONTENT_TIMEOUT),
        ([(800.0, RESET)], Fault.HEADERS_TIMEOUT),
    ],
)
def test_a_prompt_that_was_taken_in_is_paid_for(steps: list[Step], fault: Fault) -> None:
    """The target dies, or says nothing until its time is up, with no word of the answer."""
    done = attempt(*steps)
    assert done.fault == fault.value
    assert used(done)[1:] == (0, True)


@pytest.mark.parametrize(
    "steps",
    [
        [(0.0, (429, JSON)), (0.0, b"{}")],
        [(0.0, HttpError(NetworkFault.REFUSED, Stage.CONNECT))],
        [HEAD, (0.0, b'data: {"error":{"message":"no"}}\n\n')],
        [HEAD, (0.0, DONE)],
    ],
)
def test_who_refused_or_said_nothing_is_owed_nothing(steps: list[Step]) -> None:
    done = attempt(*steps)
    assert used(done) == (None, None, False)
    assert tokens_of(done) == 0


def test_a_whole_answer_without_a_count_is_reckoned_by_its_size() -> None:
    message = {"role": "assistant", "content": "x" * 400}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "id": "i"})
    done = attempt((0.0, (200, JSON)), (0.0, body.encode()), (0.0, b""))
    assert used(done)[1:] == (len(body) // 4, True)
    assert done.response_id == "i"


def test_a_messages_cloud_may_tell_what_it_asks() -> None:
    told = started(cost=0.5) + said("a") + ended(cost=1.25)
    done = attempt(HEAD, (1.0, told), dialect="anthropic")
    assert (done.reported_cost, used(done)) == (1_250_000_000_000, (10, 5, False))


def test_a_key_in_the_name_of_an_answer_is_hidden() -> None:
    told = chunk(id="sk-secretsecret")
    done = attempt(HEAD, (0.0, told + text("a") + STOP + DONE), hide=lambda told: told[:3])
    assert done.response_id == "sk-"


KNOWN = Prices({}, {"p": [Priced((Match("equals", "ref"),), (Dated(Price(input=2, output=5)),))]})


@pytest.mark.parametrize("generation", ["A", "C"])
def test_a_whole_answer_of_exo_s_saves_what_it_would_have_cost_elsewhere(
    generation: Generation,
) -> None:
    told = text("a") + STOP + chunk(usage=COUNTS) + DONE
    done = attempt(HEAD, (1.0, told), generation=generation, prices=KNOWN, reference=("p", "ref"))
    assert done.estimated is (generation == "A"), "which tells no usage"
    assert done.saved == 2 * (done.prompt_tokens or 0) + 5 * (done.completion_tokens or 0)
    assert (done.cost, done.saved is not None) == (None, True)


def test_nothing_is_saved_by_what_broke_off_or_a_cloud_or_a_price_that_nobody_knows() -> None:
    told = text("a") + STOP + chunk(usage=COUNTS) + DONE
    known: Booked = {"prices": KNOWN, "reference": ("p", "ref")}
    assert attempt(HEAD, (1.0, text("a")), (0.0, RESET), generation="C", **known).saved is None
    assert attempt(HEAD, (1.0, told), generation=None, **known).saved is None
    assert attempt(HEAD, (1.0, told), generation="C", prices=KNOWN).saved is None
    assert attempt(HEAD, (1.0, told), generation="C", reference=("p", "x")).saved is None


@pytest.mark.parametrize("cost", [7, None])
@pytest.mark.parametrize("whole", [True, False])
def test_the_energy_of_each_attempt_at_exo_is_counted_once(
    cost: int | None, *, whole: bool
) -> None:
    seen: list[str] = []

    def begin(target: str) -> Callable[[], int | None]:
        seen.append(f"begun {target}")
        return lambda: seen.append("ended") or cost

    steps: list[Step] = [(1.0, text("a") + STOP + DONE)] if whole else [(1.0, RESET)]
    done = attempt(HEAD, *steps, generation="C", energy=begin)
    assert (done.local_cost, seen) == (cost, ["begun n:1", "ended"])
    assert attempt(HEAD, *steps, generation=None, energy=begin).local_cost is None
    assert len(seen) == 2


@pytest.mark.parametrize("named", ["my secret is out", "我的秘密", "m\u00a0n"])
def test_no_prompt_is_put_down_as_a_name_that_repeats_it(named: str) -> None:
    """An upstream may give anything for an id or a model: no name that is kept is a sentence."""
    told = chunk(id=named, model=named)
    done = attempt(HEAD, (0.0, told + text("a") + STOP + DONE))
    assert (done.response_id, done.served_model) == (None, None)
    body = {"id": named, "model": named, "choices": [
        {"message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
    ]}  # fmt: skip
    whole = attempt((0.0, (200, JSON)), (0.0, json.dumps(body).encode()), (0.0, b""))
    assert (whole.response_id, whole.served_model) == (None, None)
