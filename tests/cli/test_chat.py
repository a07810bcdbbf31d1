"""What `chat` asks, prints and says of an answer, whole or not."""

import io
import json
from collections.abc import Sequence
from subprocess import PIPE

import pytest

from tests.cli.conftest import Answerer, Service, delta, streamed, whole

pytestmark = pytest.mark.real_time
Out = pytest.CaptureFixture[str]

CHAT = "POST /v1/chat/completions"
NODE = "192.168.1.5:52415"
EXO = {"x-supervisor-target": NODE, "x-supervisor-attempts": "1", "x-supervisor-model": "m"}
USAGE: dict[str, object] = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 11}}


def ask(service: Service, answer: Answerer, *more: str) -> int:
    service.on(CHAT, answer)
    return service.main("chat", "--model", "m", *more, "Name", "three", "rivers.")


def test_the_answer_alone_goes_to_standard_output(service: Service, capsys: Out) -> None:
    last = delta("Elbe.", finish_reason="stop")
    answer = streamed(": keep-alive\n\n", delta("The "), last, USAGE, headers=EXO)
    assert ask(service, answer) == 0
    out, err = capsys.readouterr()
    assert out == "The Elbe.\n"
    assert err.startswith(f"-- Exo {NODE}, 11 tokens, first content 0.")
    assert err.endswith(" s\n")


def test_the_request_says_what_the_flags_say(service: Service) -> None:
    flags = ["--privacy", "local_only", "--route", "exo", "--deadline", "2.5"]
    assert ask(service, streamed(delta("x"), headers=EXO), *flags) == 0
    (seen,) = service.seen
    assert json.loads(seen.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Name three rivers."}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sent = {name.lower(): value for name, value in seen.headers.items()}
    assert sent["content-type"] == "application/json"
    said = {name: sent[f"x-supervisor-{name}"] for name in ("privacy", "route", "deadline")}
    assert said == {"privacy": "local_only", "route": "exo", "deadline": "2.5"}


def test_a_shift_is_told_with_its_reason(service: Service, capsys: Out) -> None:
    headers = {
        "x-supervisor-target": "openrouter",
        "x-supervisor-attempts": "1",
        "x-supervisor-shift": "breaker_open",
        "x-supervisor-model": "meta-llama/llama",
    }
    assert ask(service, streamed(delta("x"), headers=headers)) == 0
    err = capsys.readouterr().err
    assert err.startswith(
        "-- cloud openrouter, shift breaker_open, attempts 1, model meta-llama/llama,\n   first "
    )


def test_a_head_sent_early_names_the_target_in_a_comment(service: Service, capsys: Out) -> None:
    told = {"target": NODE, "attempts": 2, "shift": "busy", "model": None}
    answer = streamed(f": supervisor {json.dumps(told)}\n\n", delta("x"), USAGE)
    assert ask(service, answer) == 0
    err = capsys.readouterr().err
    assert err.startswith(f"-- Exo {NODE}, shift busy, attempts 2, 11 tokens, first")


def test_an_answer_cut_at_the_limit_says_so(service: Service, capsys: Out) -> None:
    assert ask(service, streamed(delta("x", finish_reason="length"), headers=EXO)) == 0
    assert "finish length" in capsys.readouterr().err


ERROR = {"error": {"message": "the node went away", "code": "attempts_failed"}}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (streamed(delta("a"), delta("b"), ERROR, headers=EXO), "the node went away"),
        (
            streamed(delta("a"), delta("b"), ERROR, headers=EXO, done=False, cut=True),
            "the node went away",
        ),
        (
            streamed(delta("a"), delta("b"), headers=EXO, done=False, cut=True),
            "the service's answer broke off, its end is missing",
        ),
        (
            streamed(delta("a"), delta("b"), headers=EXO, done=False),
            "it ended without its last word, [DONE]",
        ),
    ],
)
def test_an_answer_that_is_not_whole_fails_and_says_so(
    service: Service, capsys: Out, answer: Answerer, why: str
) -> None:
    assert ask(service, answer) == 1
    assert capsys.readouterr() == (
        "ab\n",
        (
            f"error: {NODE} broke off after 2 pieces; the text above is not whole\n"
            f"  why: {why}\n"
            "  try: run it again; exo-supervisor why --last tells what failed\n"
        ),
    )


def test_an_error_before_any_text_is_told_in_the_service_s_words(
    service: Service, capsys: Out
) -> None:
    assert ask(service, streamed(": keep-alive\n\n", ERROR, done=False, cut=True)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: the node went away\n")


def test_a_refusal_names_its_code_and_the_next_step(service: Service, capsys: Out) -> None:
    error = {"error": {"message": "unknown model m, similar: n", "code": "model_not_found"}}
    assert ask(service, whole(error, 404)) == 1
    assert capsys.readouterr() == (
        "",
        (
            "error: unknown model m, similar: n\n"
            "  why: model_not_found, HTTP status 404\n"
            "  try: exo-supervisor models\n"
        ),
    )


def test_an_overloaded_service_says_when_to_come_back(service: Service, capsys: Out) -> None:
    error = {"error": {"message": "too many requests", "code": "overloaded"}}
    assert ask(service, whole(error, 503, {"retry-after": "7"})) == 1
    assert capsys.readouterr().err.endswith("  try: again in 7 s\n")


def test_json_prints_the_whole_body_and_asks_for_no_stream(service: Service, capsys: Out) -> None:
    body = b'{"id": "1",  "choices": []}'
    assert ask(service, whole(body), "--json") == 0
    assert capsys.readouterr() == (body.decode() + "\n", "")
    assert "stream" not in json.loads(service.seen[0].body)


def test_an_error_under_json_is_the_service_s_own(service: Service, capsys: Out) -> None:
    error = {"error": {"message": "no", "type": "t", "param": None, "code": "no_target"}}
    assert ask(service, whole(error, 503), "--json") == 1
    assert capsys.readouterr() == ("", json.dumps(error) + "\n")


def states(*known: tuple[str, str]) -> dict[str, object]:
    return {"models": [{"id": name, "state": state, "where": []} for name, state in known]}


def asked_for(service: Service, known: Sequence[tuple[str, str]], *flags: str) -> str:
    """Chat without a model and return which one was asked for, or nothing."""
    service.says("GET /supervisor/models", states(*known))
    service.on(CHAT, streamed(delta("x"), headers=EXO))
    service.main("chat", "hello", *flags)
    last = service.seen[-1]
    return json.loads(last.body)["model"] if last.method == "POST" else ""


def test_without_a_model_the_only_ready_one_is_asked(service: Service) -> None:
    known = [("a", "loading"), ("b", "ready"), ("c", "cloud")]
    assert asked_for(service, known) == "b"
    assert asked_for(service, known, "--route", "cloud") == "c"
    assert asked_for(service, [("c", "cloud")]) == "c"


def test_a_cloud_route_picks_a_model_that_a_provider_has(service: Service) -> None:
    local = {"id": "a", "state": "ready", "where": [{"target": NODE}]}
    both = {"id": "b", "state": "ready", "where": [{"target": NODE}, {"target": "openrouter"}]}
    service.says("GET /supervisor/models", {"models": [local, both]})
    service.on(CHAT, streamed(delta("x"), headers=EXO))
    assert service.main("chat", "hello", "--route", "cloud") == 0
    assert json.loads(service.seen[-1].body)["model"] == "b"


def test_what_stays_local_never_picks_a_cloud_model(service: Service, capsys: Out) -> None:
    assert asked_for(service, [("c", "cloud")], "--privacy", "local_only") == ""
    assert capsys.readouterr().err == ("error: no model is ready\n  try: exo-supervisor status\n")


def test_an_alias_and_its_target_count_as_one(service: Service) -> None:
    alias = {"id": "chat", "state": "ready"}
    own = {"id": "org/model", "state": "ready", "alias_of": "chat"}
    service.says("GET /supervisor/models", {"models": [alias, own]})
    service.on(CHAT, streamed(delta("x"), headers=EXO))
    assert service.main("chat", "hello") == 0
    assert json.loads(service.seen[-1].body)["model"] == "chat"


def test_several_ready_models_are_named_and_none_is_guessed(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/models", states(*((f"m{at}", "ready") for at in range(10))))
    assert service.main("chat", "hello") == 2
    assert capsys.readouterr().err == (
        "error: 10 models are ready, so one must be named\n"
        "  why: m0, m1, m2, m3, m4, m5, m6, m7, and 2 more\n"
        "  try: exo-supervisor chat --model m0 ...\n"
    )


def test_the_prompt_comes_from_a_pipe_when_no_word_is_given(service: Service) -> None:
    service.on(CHAT, streamed(delta("x"), headers=EXO))
    process = service.start("chat", "--model", "m", stdin=PIPE)
    process.communicate("Grüße\nzwei\n".encode(), timeout=60)
    assert process.returncode == 0
    assert json.loads(service.seen[0].body)["messages"][0]["content"] == "Grüße\nzwei"


def test_piped_text_and_words_are_joined_by_a_blank_line(service: Service) -> None:
    service.on(CHAT, streamed(delta("x"), headers=EXO))
    process = service.start("chat", "-m", "m", "Put this", "in French.", stdin=PIPE)
    process.communicate("Grüße\nzwei\n\n".encode(), timeout=60)
    assert process.returncode == 0
    told = json.loads(service.seen[0].body)["messages"]
    assert told == [{"role": "user", "content": "Grüße\nzwei\n\nPut this in French."}]


def test_nothing_piped_in_leaves_the_words_alone(service: Service) -> None:
    service.on(CHAT, streamed(delta("x"), headers=EXO))
    for given in (b"", b" \n"):
        process = service.start("chat", "-m", "m", "Hello", stdin=PIPE)
        process.communicate(given, timeout=60)
        assert json.loads(service.seen[-1].body)["messages"][0]["content"] == "Hello"


def test_how_to_answer_is_said_by_flags(service: Service) -> None:
    flags = ["--system", "Be brief.", "--max-tokens", "40", "--temperature", "0"]
    assert ask(service, streamed(delta("x"), headers=EXO), *flags) == 0
    body = json.loads(service.seen[0].body)
    assert (body["max_tokens"], body["temperature"]) == (40, 0.0)
    assert [each["role"] for each in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == "Be brief."


@pytest.mark.parametrize("given", [b"", b" \n", b"\xff\xfe"])
def test_an_empty_or_broken_prompt_is_a_usage_error(service: Service, given: bytes) -> None:
    process = service.start("chat", "--model", "m", stdin=PIPE)
    _, err = process.communicate(given, timeout=60)
    assert (process.returncode, service.seen) == (2, [])
    assert err.startswith(b"error: the prompt is ")


def test_piped_text_is_exact(service: Service, capsys: Out) -> None:
    ask(service, streamed(delta("a\x1b[31m\x9b"), headers=EXO))
    assert capsys.readouterr().out == "a\x1b[31m\x9b\n"


def test_what_the_output_cannot_spell_becomes_a_question_mark(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = io.BytesIO()
    narrow = io.TextIOWrapper(kept, encoding="ascii")
    monkeypatch.setattr("sys.stdout", narrow)
    assert ask(service, streamed(delta("é\ud83d"), headers=EXO)) == 0
    assert kept.getvalue() == b"??\n"
