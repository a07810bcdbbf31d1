"""On one link, Hellos lead to few questions, and only answers to questions are believed."""

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import NodeId
from exo_supervisor.discovery.group import PORT
from exo_supervisor.discovery.hello_protocol import MOST_VOICES, Answer, HelloProtocol
from exo_supervisor.discovery.namespaces import MOST_OVERHEARD, Namespaces
from exo_supervisor.wire.exo.hello import KNOWN_NAMESPACES, NONCE, namespace_digest

EXO = IPv6Address("fe80::2")
OURS = b"question"
HELLO = b"EXO\x00" + bytes(8) + KNOWN_NAMESPACES[0]


def hello(namespace: bytes) -> bytes:
    return b"EXO\x00" + bytes(8) + namespace


def whats_up(nonce: bytes, zid: int = 0xABC) -> bytes:
    return b"EXO\x01" + nonce + zid.to_bytes(16, "little") + b"\xbe\xcc"


def asked(talk: HelloProtocol, now: float) -> list[bytes]:
    return [datagram[12:] for datagram in talk.question(OURS, now)]


def test_a_question_goes_to_named_known_and_overheard_namespaces() -> None:
    talk = HelloProtocol(Namespaces(["lab"]))
    talk.hear(hello(b"overhear"), EXO, PORT, 0.0)
    assert asked(talk, 1.0) == [namespace_digest("lab"), *KNOWN_NAMESPACES, b"overhear"]
    assert all(len(each) == 20 for each in talk.question(OURS, 1.0))


def test_a_namespace_that_is_heard_no_more_is_forgotten() -> None:
    talk = HelloProtocol(Namespaces([]))
    talk.hear(hello(b"overhear"), EXO, PORT, 0.0)
    assert b"overhear" in asked(talk, 59.0)
    assert b"overhear" not in asked(talk, 61.0)


def test_who_is_new_is_worth_a_question_at_once_until_it_answered() -> None:
    talk = HelloProtocol(Namespaces([]))
    assert talk.hear(HELLO, EXO, PORT, 10.0)
    talk.question(OURS, 10.0)
    assert talk.answer(whats_up(OURS), EXO, 10.1) == Answer(node_id=NodeId("abc"), source=EXO)
    assert not any(talk.hear(HELLO, EXO, PORT, 11.0 + second) for second in range(60))


def test_who_never_answers_is_asked_three_times() -> None:
    talk = HelloProtocol(Namespaces([]))
    worth = [talk.hear(HELLO, EXO, PORT, 10.0 + second) for second in range(60)]
    assert worth == [True] * 3 + [False] * 57


def test_who_was_silent_for_a_while_may_be_somebody_else() -> None:
    talk = HelloProtocol(Namespaces([]))
    talk.question(OURS, 10.0)
    talk.answer(whats_up(OURS), EXO, 10.0)
    assert not talk.hear(HELLO, EXO, PORT, 12.0)
    assert talk.hear(HELLO, EXO, PORT, 15.0)


def test_a_question_of_another_observer_leads_to_none() -> None:
    """Two supervisors that answered each other's questions with questions would never end."""
    talk = HelloProtocol(Namespaces([]))
    assert not talk.hear(hello(b"observer"), EXO, 40000, 10.0)
    assert b"observer" not in asked(talk, 11.0)


def test_many_new_voices_lead_to_two_questions_a_second_at_most() -> None:
    talk = HelloProtocol(Namespaces([]))
    questions = 0
    for n in range(10_000):  # in ten seconds
        now = 10.0 + n / 1000
        if talk.hear(HELLO, IPv6Address(n + 1), PORT, now):
            questions += 1
            talk.question(OURS, now)
    assert questions <= 20
    assert len(talk) <= MOST_VOICES


def test_a_flood_of_namespaces_makes_no_flood_of_questions() -> None:
    talk = HelloProtocol(Namespaces([]))
    for n in range(1000):
        talk.hear(hello(n.to_bytes(8)), EXO, PORT, 10.0)
    assert len(asked(talk, 10.0)) == len(KNOWN_NAMESPACES) + MOST_OVERHEARD
    assert asked(talk, 10.0)[-1] == (999).to_bytes(8)


def test_an_answer_without_our_question_is_not_believed() -> None:
    talk = HelloProtocol(Namespaces([]))
    assert talk.answer(whats_up(OURS), EXO, 0.0) is None
    talk.question(OURS, 0.0)
    assert talk.answer(whats_up(b"stranger"), EXO, 0.0) is None
    assert talk.answer(HELLO, EXO, 0.0) is None


def test_a_late_answer_counts_and_one_to_a_forgotten_question_does_not() -> None:
    talk = HelloProtocol(Namespaces([]))
    for n in range(5):
        talk.question(n.to_bytes(NONCE), float(n))
    assert talk.answer(whats_up((0).to_bytes(NONCE)), EXO, 5.0) is None
    assert talk.answer(whats_up((1).to_bytes(NONCE)), EXO, 5.0) is not None


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=40) | st.binary(max_size=30).map(lambda tail: b"EXO" + tail),
            st.ip_addresses(v=6),
            st.sampled_from([PORT, 1]),
        ),
        max_size=50,
    )
)
def test_no_datagram_raises(heard: list[tuple[bytes, IPv6Address, int]]) -> None:
    talk = HelloProtocol(Namespaces([]))
    for now, (datagram, source, port) in enumerate(heard):
        talk.hear(datagram, source, port, float(now))
        assert talk.answer(datagram, source, float(now)) is None
