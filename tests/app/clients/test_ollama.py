"""Ollama's own Python client over the socket: what its users see, whoever serves behind."""

import json
from typing import Any

import ollama
import pytest

from exo_supervisor.demo import Disease, Local, text
from exo_supervisor.demo.local import DIMENSIONS, vector_of
from tests.app.clients.cells import behind
from tests.app.clients.conftest import House
from tests.app.clients.sdks import ollamas
from tests.app.world import CLOUD_MODEL, EXO_MODEL, HELLO, KEY, MODEL, in_process

pytestmark = pytest.mark.real_time

LIBRARY = ollamas
BEFORE = ("Exo B", "Exo C", "OpenAI-style")
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def asking(**more: Any) -> Any:  # noqa: ANN401 - arguments of the client
    return {"model": MODEL, "messages": HELLO, **more}


async def streamed(client: Any, **more: Any) -> list[ollama.ChatResponse]:  # noqa: ANN401
    return [line async for line in await client.chat(**asking(stream=True), **more)]


async def test_a_model_is_asked_for_without_a_word_as_ollama_run_does_it_first(
    house: House,
) -> None:
    client = house.sdk
    for loaded in (await client.generate(MODEL), await client.chat(MODEL, keep_alive="5m")):
        assert (loaded.done, loaded.done_reason, loaded.model) == (True, "load", MODEL)
    with pytest.raises(ollama.ResponseError) as unknown:
        await client.generate("nobodys")
    assert unknown.value.status_code == 404


async def test_the_client_reads_a_whole_chat_and_a_stream(house: House) -> None:
    target, client = house.target, house.sdk
    whole = await client.chat(**asking())
    assert whole.message.content == text(12)
    lines = await streamed(client)
    assert "".join(line.message.content or "" for line in lines) == text(12)
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    for last in (whole, lines[-1]):
        assert (last.done, last.done_reason, last.eval_count) == (True, "stop", 12)
        assert last.model == house.model
        assert last.prompt_eval_count
        assert last.created_at is not None
        assert last.created_at.endswith("Z")
    options = {"num_predict": 2, "temperature": 0.5, "num_ctx": 4096}
    limited = await client.chat(**asking(options=options, keep_alive="5m"))
    assert (limited.done_reason, limited.message.content) == ("length", text(2))
    asked = target.last_request
    assert asked is not None
    assert (asked["max_tokens"], asked["temperature"]) == (2, 0.5)
    assert not {"num_ctx", "keep_alive", "options"} & set(asked)


async def test_tools_pass_both_ways_with_their_arguments_as_objects(house: House) -> None:
    target, client = house.target, house.sdk
    whole = await client.chat(**asking(tools=TOOLS))
    lines = await streamed(client, tools=TOOLS)
    told = [call for line in lines for call in line.message.tool_calls or ()]
    for calls in (whole.message.tool_calls, told):
        assert calls is not None
        (call,) = calls
        assert (call.function.name, call.function.arguments) == ("weather", {"city": "Paris"})
    assert lines[-1].done_reason == "stop"
    talk: list[Any] = [
        *HELLO,
        whole.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_name": "weather", "content": "18 degrees"},
    ]
    answered = await client.chat(**asking(messages=talk, tools=TOOLS))
    assert answered.message.content == text(12)
    asked = target.last_request
    assert asked is not None
    called, result = asked["messages"][1:3]
    assert result["tool_call_id"] == called["tool_calls"][0]["id"] != ""
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}


async def test_a_prompt_is_answered_at_once_and_as_a_stream(house: House) -> None:
    target, client = house.target, house.sdk
    whole = await client.generate(model=MODEL, prompt="A river", system="Be brief")
    assert (whole.response, whole.done_reason) == (text(12), "stop")
    assert target.last_request is not None
    told = [(each["role"], each["content"]) for each in target.last_request["messages"]]
    assert told == [("system", "Be brief"), ("user", "A river")]
    lines = [line async for line in await client.generate(model=MODEL, prompt="A", stream=True)]
    assert "".join(line.response for line in lines) == text(12)
    assert lines[-1].done
    with pytest.raises(ollama.ResponseError, match="suffix is not supported") as caught:
        await client.generate(model=MODEL, prompt="A", suffix="B")
    assert caught.value.status_code == 400


async def test_each_error_is_one_that_users_of_the_client_catch(house: House) -> None:
    target, client = house.target, house.sdk
    wrongs: list[tuple[Any, int]] = [
        ({"model": "house-modle"}, 404),
        ({"messages": [], "keep_alive": 0}, 400),
    ]
    for wrong, status in wrongs:
        with pytest.raises(ollama.ResponseError) as caught:
            await client.chat(**{**asking(), **wrong})
        assert caught.value.status_code == status
        assert caught.value.error
    target.disease = Disease("status", status=500)
    with pytest.raises(ollama.ResponseError) as caught:
        await streamed(client)
    assert caught.value.status_code == 502


@pytest.mark.parametrize("disease", ["cut", "unfinished", "error_event", "bad_json_event"])
async def test_a_stream_that_breaks_raises_and_is_never_done(
    house: House,
    disease: Any,  # noqa: ANN401 - a literal
) -> None:
    target, client = house.target, house.sdk
    target.disease, target.pace = Disease(disease, after=3), 0.01
    stream = await client.chat(**asking(stream=True))
    heard, done = "", False

    async def hear() -> None:
        nonlocal heard, done
        async for line in stream:
            heard += line.message.content
            done = done or line.done

    with pytest.raises(ollama.ResponseError, match="not whole"):
        await hear()
    assert (heard, done) == (text(3), False)


async def test_texts_are_embedded_by_both_of_the_client_s_calls() -> None:
    local = Local(KEY, (CLOUD_MODEL,), pace=0.0)
    async with local, in_process(cloud=local) as world, ollamas(world) as client:
        await world.ready(0)
        told = await client.embed(model=MODEL, input=["a river", "at the sea"])
        assert told.embeddings == [vector_of("a river"), vector_of("at the sea")]
        assert (told.model, told.prompt_eval_count) == (CLOUD_MODEL, 8)
        short = await client.embed(model=MODEL, input="a river", dimensions=DIMENSIONS // 2)
        assert len(short.embeddings[0]) == DIMENSIONS // 2
        older = await client.embeddings(model=MODEL, prompt="a river")
        assert older.embedding == vector_of("a river")


async def test_models_are_listed_and_shown_and_their_files_are_none_of_ours() -> None:
    async with behind("Exo C") as (world, _), ollamas(world) as client:
        listed = await client.list()
        assert {model.model for model in listed.models} >= {MODEL, EXO_MODEL}
        assert all(len(model.digest or "") == 64 for model in listed.models)
        assert [model.model for model in (await client.ps()).models] == [MODEL]
        shown = await client.show(MODEL)
        assert shown.modelinfo is not None
        assert shown.modelinfo["general.basename"] == MODEL
        with pytest.raises(ollama.ResponseError, match="no such model") as caught:
            await client.show("house-modle")
        assert caught.value.status_code == 404
        calls: list[Any] = [
            client.pull(MODEL), client.push(MODEL), client.delete(MODEL),
            client.copy(MODEL, "other"), client.create("other", from_=MODEL),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(ollama.ResponseError, match="no model's files") as caught:
                await call
            assert caught.value.status_code == 404
        version = await world.look("/ollama/api/version")
        assert version["version"].count(".") == 2
        for method, path, status in (
            ("POST", "/api/tags", 405),
            ("GET", "/api/show", 405),
            ("GET", "/api/nowhere", 404),
        ):
            answer = await world.http.request(method, path)
            assert answer.status_code == status
            assert isinstance(answer.json()["error"], str)
        for body, status in ((b"{", 400), (b"{}", 400), (b"[" + b"1," * 2**20 + b"1]", 413)):
            answer = await world.http.post("/api/show", content=body)
            assert answer.status_code == status


async def test_below_exo_s_own_prefix_there_is_the_same() -> None:
    async with behind("Exo C") as (world, _):
        answer = await world.http.post("/ollama/api/chat", json=asking(stream=False))
        assert answer.json()["message"]["content"] == text(12)
