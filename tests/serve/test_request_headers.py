"""What a client wishes for is done or refused, never dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.serve.request_headers import PLAIN, RequestHeaders, read_headers

ROUTE, PRIVACY, DEADLINE, SESSION = (
    f"x-supervisor-{name}" for name in ("route", "privacy", "deadline", "session")
)


def refused(headers: dict[str, str], *repeated: str) -> Refusal:
    with pytest.raises(BadRequestError) as caught:
        read_headers(headers, repeated)
    assert (caught.value.refusal.status, caught.value.refusal.code) == (400, "bad_header")
    return caught.value.refusal


def test_who_wishes_nothing_gets_what_is_usual() -> None:
    assert read_headers({}) is PLAIN
    assert read_headers({"authorization": "x", "x-super": "1", "x-request-id": "2"}) is PLAIN
    assert RequestHeaders(route=None, local_only=False, deadline=None) == PLAIN


@pytest.mark.parametrize(
    ("header", "value", "wishes"),
    [
        (ROUTE, "exo", RequestHeaders(route="exo")),
        (ROUTE, "cloud", RequestHeaders(route="cloud")),
        (PRIVACY, "local_only", RequestHeaders(local_only=True)),
        (PRIVACY, " local_only ", RequestHeaders(local_only=True)),
        (DEADLINE, "2.5", RequestHeaders(deadline=2.5)),
        (DEADLINE, "1e3", RequestHeaders(deadline=1000.0)),
        (SESSION, " s 1 ", RequestHeaders(session="s 1")),
        (SESSION, "s" * 256, RequestHeaders(session="s" * 256)),
        (SESSION, "s", RequestHeaders(session="s")),
        ("x-session-id", "s1", RequestHeaders(session="s1")),
        ("x-session-id", "s" * 257, PLAIN),
    ],
)
def test_a_wish_is_read(header: str, value: str, wishes: RequestHeaders) -> None:
    assert read_headers({header: value}) == wishes


def test_our_own_header_names_the_conversation_first() -> None:
    theirs = {"x-claude-code-session-id": "s2", "x-session-id": "s3"}
    assert read_headers({**theirs, SESSION: "s1"}).session == "s1"
    assert read_headers({**theirs, ROUTE: "exo"}) == RequestHeaders("exo", session="s2")


def test_wishes_go_together() -> None:
    headers = {ROUTE: "exo", PRIVACY: "local_only", DEADLINE: "1"}
    assert read_headers(headers) == RequestHeaders("exo", local_only=True, deadline=1.0)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (SESSION, ""),
        (SESSION, "s" * 257),
        (SESSION, "s\x00"),
        (SESSION, "\xe9"),
        (SESSION, "\udc80"),
        (ROUTE, "Exo"),
        (ROUTE, ""),
        (PRIVACY, "true"),
        (PRIVACY, ""),
        (DEADLINE, "0"),
        (DEADLINE, "-1"),
        (DEADLINE, "nan"),
        (DEADLINE, "inf"),
        (DEADLINE, "1e999"),
        (DEADLINE, "soon"),
        (DEADLINE, ""),
        (DEADLINE, "\udc80"),
        ("x-supervisor-privcy", "local_only"),
        ("x-supervisor-routes", "exo"),
        ("x-supervisor-", "1"),
    ],
)
def test_a_wish_that_cannot_be_done_is_refused_by_name(header: str, value: str) -> None:
    assert refused({header: value}).param == header


def test_a_wish_that_is_sent_twice_is_refused_even_if_both_agree() -> None:
    headers = {"accept": "a, b", DEADLINE: "5", PRIVACY: "local_only, local_only"}
    twice = refused(headers, "accept", PRIVACY)
    assert twice.param == PRIVACY


@given(st.sampled_from([ROUTE, PRIVACY, DEADLINE]), st.text())
def test_any_value_is_a_wish_or_a_refusal(header: str, value: str) -> None:
    try:
        wishes = read_headers({header: value})
    except BadRequestError as bad:
        assert bad.refusal.param == header  # noqa: PT017 -- both ends are right
    else:
        assert wishes != PLAIN
