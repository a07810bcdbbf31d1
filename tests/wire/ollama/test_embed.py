"""Vectors, and lists of models, as Ollama's clients read them."""

import json

import pytest

from exo_supervisor.core.fleet.model_facts import NO_FACTS, ModelFacts
from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.ollama import models
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

ITEM = {"index": 0, "embedding": [0.5, 1.0]}


@pytest.mark.parametrize(
    ("path", "usage", "told"),
    [
        (
            "/api/embed",
            {"prompt_tokens": 2, "total_tokens": 2},
            {"model": "theirs", "embeddings": [[0.5, 1.0]], "prompt_eval_count": 2},
        ),
        ("/api/embed", None, {"model": "theirs", "embeddings": [[0.5, 1.0]]}),
        ("/api/embeddings", None, {"embedding": [0.5, 1.0]}),
    ],
)
def test_vectors_are_numbers(path: str, usage: object, told: object) -> None:
    operation = OPERATIONS[path]
    request = operation.read(b'{"model":"m","input":"a"}', {})
    for write in (operation.body, operation.stream):
        reader = DIALECTS["openai"].readers["embeddings", "json"](
            writer=write(Reply("id", 1, "theirs", request)), asked="theirs"
        )
        reader.feed(json.dumps({"data": [ITEM], "usage": usage}).encode())
        reader.close()
        assert reader.fault is None
        assert json.loads(b"".join(reader.result())) == told


def test_models_are_listed_by_name_and_what_is_unknown_is_not_made_up() -> None:
    (card,) = json.loads(models.model_tags({"m": NO_FACTS}, 7))["models"]
    assert (card["name"], card["model"], card["size"]) == ("m", "m", 0)
    assert card["modified_at"] == "1970-01-01T00:00:07Z"
    assert len(card["digest"]) == 64
    (ready,) = json.loads(models.running(["m"]))["models"]
    assert ready["digest"] == card["digest"]
    assert json.loads(models.version()) == {"version": models.API}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("text", "thinking", "thinking_toggle"), ["completion", "thinking"]),
        (("text",), ["completion"]),
        (("completion", "vision"), ["completion", "vision"]),
        (("embedding",), ["embedding"]),
    ],
)
def test_what_a_model_can_is_told_in_ollamas_words(told: tuple[str, ...], words: list[str]) -> None:
    facts = ModelFacts(0, told)
    assert json.loads(models.shown("m", facts))["capabilities"] == words
    (card,) = json.loads(models.model_tags({"m": facts}, 7))["models"]
    assert card["capabilities"] == words


def test_a_model_is_shown_with_its_context_where_that_is_known() -> None:
    info = json.loads(models.shown("m", ModelFacts(4096)))["model_info"]
    assert info[f"{info['general.architecture']}.context_length"] == 4096
    unknown = json.loads(models.shown("m", NO_FACTS))
    assert not [name for name in unknown["model_info"] if "length" in name]
    assert "capabilities" not in unknown
    assert models.read_show(b'{"model":"m"}') == models.read_show(b'{"name":"m"}') == "m"
    with pytest.raises(BadRequestError, match="model is missing"):
        models.read_show(b"{}")
