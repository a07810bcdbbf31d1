"""OpenAI's own SDK asks for embeddings and completions: what its users see of a local provider."""

import base64
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import openai
import pytest

from exo_supervisor.demo import Disease, ExoNode, Local, text
from exo_supervisor.demo.local import DIMENSIONS, vector_of
from tests.app.world import CLOUD_MODEL, EXO_MODEL, KEY, MODEL, World, in_process

pytestmark = pytest.mark.real_time

TEXTS = ["a river", "keeps no", "promise of its own"]
FORMS = [{}, {"forms": False}]


@asynccontextmanager
async def house(*nodes: ExoNode, **local: Any) -> AsyncGenerator[tuple[World, Local]]:  # noqa: ANN401
    provider = Local(KEY, (CLOUD_MODEL,), pace=0.0, **local)
    async with provider, in_process(*nodes, cloud=provider) as world:
        await world.ready(len(nodes))
        yield world, provider


@pytest.mark.parametrize("local", FORMS)
async def test_vectors_come_in_the_form_that_was_asked_for(local: dict[str, Any]) -> None:
    """The SDK asks for base64 by itself and decodes it; whoever asks for numbers gets numbers."""
    async with house(**local) as (world, provider):
        told = await world.sdk.embeddings.create(model=MODEL, input=TEXTS)
        assert [item.embedding for item in told.data] == [vector_of(each) for each in TEXTS]
        assert [item.index for item in told.data] == [0, 1, 2]
        assert (told.model, told.usage.prompt_tokens) == (CLOUD_MODEL, 12)
        assert provider.last_request is not None
        assert provider.last_request["model"] == CLOUD_MODEL
        assert "stream" not in provider.last_request
        for form in ("float", "base64"):
            body = {"model": MODEL, "input": TEXTS[0], "encoding_format": form}
            answer = await world.http.post("/v1/embeddings", json=body)
            vector = answer.json()["data"][0]["embedding"]
            if form == "base64":
                vector = list(struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(vector)))
            assert vector == vector_of(TEXTS[0])
        assert answer.headers["x-supervisor-target"] == "house-cloud"
        lines = await world.lines("request_done", 3)
        assert {(line["outcome"], line["prompt_tokens"]) for line in lines} == {
            ("success", 12),
            ("success", 4),
        }


@pytest.mark.parametrize("given", ["a river", [1, 2, 3], [[1, 2], [3]], ["a", "b"]])
async def test_texts_and_tokens_alone_and_in_batches_are_embedded(given: Any) -> None:  # noqa: ANN401
    async with house() as (world, _):
        told = await world.sdk.embeddings.create(model=MODEL, input=given, dimensions=4)
        alone = isinstance(given, str) or given == [1, 2, 3]
        each = [given] if alone else given
        assert [item.embedding for item in told.data] == [vector_of(one, 4) for one in each]


async def test_a_target_that_ignores_dimensions_is_no_answer_and_no_failure() -> None:
    """Ollama and llama.cpp leave the field out: the client is told, and no breaker counts it."""
    async with house(lengths=False) as (world, _):
        for _ in range(4):
            with pytest.raises(openai.BadRequestError, match="8 dimensions, not the 4"):
                await world.sdk.embeddings.create(model=MODEL, input="x", dimensions=4)
        told = await world.sdk.embeddings.create(model=MODEL, input="x")
        assert len(told.data[0].embedding) == DIMENSIONS


@pytest.mark.parametrize(
    "ill",
    [
        Disease("unfinished", after=2),
        Disease("unfinished", after=0),
        Disease("bad_json"),
        Disease("empty_200"),
        Disease("cut"),
        Disease("error_event"),
        Disease("wrong_content_type"),
        Disease("status", status=500),
    ],
    ids=lambda ill: f"{ill.name}-{ill.after}",
)
async def test_no_list_that_is_not_whole_is_passed_on(ill: Disease) -> None:
    async with house() as (world, provider):
        provider.disease = ill
        with pytest.raises(openai.APIStatusError) as caught:
            await world.sdk.embeddings.create(model=MODEL, input=TEXTS)
        assert caught.value.status_code == 502
        assert caught.value.code == "attempts_failed"


@pytest.mark.parametrize("kind", ["embeddings", "completions"])
async def test_no_node_is_asked_for_what_exo_does_not_serve(kind: str) -> None:
    """A provider that serves it is, though Exo comes first; without one the error says who does."""
    body = {"model": MODEL, "input": "a river", "prompt": "a river"}
    async with ExoNode("C") as node, house(node) as (world, provider):
        answer = await world.http.post(f"/v1/{kind}", json=body)
        assert answer.status_code == 200
        assert answer.headers["x-supervisor-shift"] == "unsupported_field"
        only_exo = await world.http.post(f"/v1/{kind}", json=body | {"model": EXO_MODEL})
        unknown = await world.http.post(f"/v1/{kind}", json=body | {"model": "nowhere"})
        assert (only_exo.status_code, unknown.status_code) == (400, 404)
        for refused, code in ((only_exo, "unsupported_field"), (unknown, "model_not_found")):
            error = refused.json()["error"]
            assert error["code"] == code
            assert f"Exo serves no {kind}" in error["message"]
            assert "Ollama, llama.cpp, vLLM, infinity" in error["message"]
        assert not await world.lines("traffic_shifted", 0)
        assert provider.requests[f"/v1/{kind}"] == 1
    assert node.requests["/v1/chat/completions"] == 0


async def test_the_sdk_completes_a_text_at_once_and_as_a_stream() -> None:
    async with house() as (world, provider):
        ask: Any = world.sdk.completions.create
        whole = await ask(model=MODEL, prompt="A river", max_tokens=5)
        assert (whole.choices[0].text, whole.choices[0].finish_reason) == (text(5), "length")
        assert (whole.object, whole.model) == ("text_completion", CLOUD_MODEL)
        assert whole.usage.completion_tokens == 5
        assert whole.id.startswith("cmpl-")
        two = await ask(model=MODEL, prompt=["A", "B"])
        assert [choice.text for choice in two.choices] == [text(12)] * 2
        options = {"include_usage": True}
        heard, finish, usage = "", None, None
        async for chunk in await ask(
            model=MODEL, prompt="A river", stream=True, stream_options=options
        ):
            assert chunk.object == "text_completion"
            usage = chunk.usage or usage
            for choice in chunk.choices:
                heard += choice.text
                finish = choice.finish_reason or finish
        assert (heard, finish) == (text(12), "stop")
        assert cast("Any", usage).completion_tokens == 12
        assert provider.last_request is not None
        assert provider.last_request["prompt"] == "A river"


@pytest.mark.parametrize("name", ["cut", "unfinished", "error_event", "bad_json_event"])
async def test_a_stream_of_a_completion_that_breaks_raises(name: Any) -> None:  # noqa: ANN401
    async with house() as (world, provider):
        provider.pace = 0.01
        provider.disease = Disease(name, after=3)
        stream = await cast("Any", world.sdk.completions.create)(
            model=MODEL, prompt="A river", stream=True
        )
        heard = ""

        async def hear() -> None:
            nonlocal heard
            async for chunk in stream:
                heard += chunk.choices[0].text
                assert chunk.choices[0].finish_reason is None

        with pytest.raises(openai.APIError, match="not whole"):
            await hear()
        assert heard == text(3)


async def test_a_client_of_a_completion_that_leaves_frees_the_target() -> None:
    async with house() as (world, provider):
        provider.pace = 0.05
        stream = await world.sdk.completions.create(model=MODEL, prompt="A", stream=True)
        async for _ in stream:
            break
        await stream.close()
        await provider.until(lambda: provider.cancelled_streams == 1)
