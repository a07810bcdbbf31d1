"""Our readers and writers of usage, beside the extractors of genai-prices: the same token classes.

Where they differ there is a reason, and it is a row of `DIFFERS` or a test of its own: what no
target of ours tells (pictures, sounds, searches) has no class here, and its tokens stay in their
whole.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from exo_supervisor.wire.anthropic.reader import EventReader
from exo_supervisor.wire.chat.piece import Usage, Writer
from exo_supervisor.wire.chat.usage import read_usage, write_usage
from tests.wire.anthropic import client as messages
from tests.wire.anthropic.test_reader import ended, said, started
from tests.wire.openai.test_embeddings import listed, reading, told
from tests.wire.reading import gathered, read_into
from tests.wire.responses import client as responses

Json = dict[str, Any]
Path = tuple[str, ...]

CHAT, MESSAGES = ("prompt_tokens",), ("input_tokens",)
DIFFERS = {
    ("perplexity", "citation_tokens"): "have a price of their own, and are in no sum of it",
    ("perplexity", "num_search_queries"): "are no tokens",
    ("anthropic", "server_tool_use"): "are no tokens",
}


class Classes(NamedTuple):
    """Tokens by what they cost."""

    input: int
    output: int
    cached: int
    written: int
    written_1h: int
    reasoning: int


def ours(usage: Usage | None) -> Classes:
    assert usage is not None
    return Classes(
        usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens,
        usage.cache_write_tokens, usage.cache_write_1h_tokens, usage.reasoning_tokens,
    )  # fmt: skip


def theirs(provider: str, flavor: str, usage: Json) -> Classes:
    (found,) = [each for each in providers if each.id == provider]
    _, read = found.extract_usage({"model": "m", "usage": usage}, api_flavor=flavor)
    names = (
        "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
        "cache_write_1h_tokens", "output_reasoning_tokens",
    )  # fmt: skip
    return Classes(*(getattr(read, name) or 0 for name in names))


def shapes(whole: Path) -> Iterator[tuple[str, str, frozenset[Path], bool]]:
    """Yield each way of telling a usage: whose it is, its members, and what stands beside what."""
    seen: set[object] = set()
    for provider in providers:
        for each in provider.extractors or []:
            rows = [(as_path(mapping.path), mapping.dest) for mapping in each.mappings]
            paths = frozenset(path for path, _ in rows)
            beside = sum(dest == "output_tokens" for _, dest in rows) > 1
            if each.root == "usage" and whole in paths and (paths, beside) not in seen:
                seen.add((paths, beside))
                if each.api_flavor in {"chat", "default", "anthropic"}:
                    yield provider.id, each.api_flavor, paths, beside


def as_path(path: Any) -> Path:  # noqa: ANN401 -- the library's own kinds, dynamic ones
    return (path,) if isinstance(path, str) else tuple(map(str, path))


def put(usage: Json, path: Path, count: int) -> None:
    *outer, name = path
    for each in outer:
        usage = usage.setdefault(each, {})
    usage[name] = count


COUNTS = st.lists(st.integers(0, 10**6), min_size=4, max_size=4)
CHATS = list(shapes(CHAT))
ALL_MESSAGES = [each for each in shapes(MESSAGES) if ("cache_read_input_tokens",) in each[2]]


@pytest.mark.parametrize(
    ("provider", "flavor", "paths", "beside"), CHATS, ids=[f"{each[0]}-{each[1]}" for each in CHATS]
)
@given(counts=COUNTS)
@settings(max_examples=15)
def test_each_providers_usage_is_read_as_genai_prices_does(
    provider: str, flavor: str, paths: frozenset[Path], counts: list[int], *, beside: bool
) -> None:
    fresh, cached, written, part = counts
    prompt, completion = fresh + cached + written, part + counts[0]
    if beside and provider == "perplexity":  # its total tells nothing of what was thought
        completion = part // 2
    usage: Json = {}
    for path in paths:
        name = path[-1]
        if (provider, path[0]) in DIFFERS or "audio" in name:
            continue
        if name in {"prompt_tokens", "completion_tokens"}:
            count = prompt if name == "prompt_tokens" else completion
        elif "reasoning" in name:
            count = part
        else:
            count = written if "write" in name else cached
        put(usage, path, count)
    added = part if beside and provider != "perplexity" else 0
    usage["total_tokens"] = prompt + completion + added
    read = read_usage(Raw(json.dumps(usage).encode()))
    assert ours(read) == theirs(provider, flavor, usage)


@pytest.mark.parametrize(
    ("provider", "flavor", "paths", "beside"),
    ALL_MESSAGES,
    ids=[f"{each[0]}-{each[1]}" for each in ALL_MESSAGES],
)
@given(counts=COUNTS)
@settings(max_examples=15)
def test_a_usage_of_messages_is_read_as_genai_prices_does(
    provider: str, flavor: str, paths: frozenset[Path], counts: list[int], *, beside: bool
) -> None:
    assert not beside
    fresh, cached, short, kept = counts
    told: Json = {}
    by_name = {
        "input_tokens": fresh, "cache_read_input_tokens": cached, "output_tokens": fresh + short,
        "cache_creation_input_tokens": short + kept, "ephemeral_5m_input_tokens": short,
        "ephemeral_1h_input_tokens": kept, "thinking_tokens": short,
    }  # fmt: skip
    for path in paths:
        if (provider, path[0]) not in DIFFERS:
            put(told, path, by_name[path[-1]])
    output = told.pop("output_tokens")
    last = {name: told.pop(name) for name in ("output_tokens_details",) if name in told}
    reader = EventReader(writer=messages.stream_writer())
    reader.feed(started(**told) + said("a") + ended(output=output, **last))
    assert ours(reader.usage) == theirs(provider, flavor, {**told, "output_tokens": output, **last})


@given(count=st.integers(0, 10**6))
@settings(max_examples=15)
def test_a_usage_of_embeddings_is_read_as_genai_prices_does(count: int) -> None:
    usage = {"prompt_tokens": count, "total_tokens": count}
    reader = reading()
    told(reader, listed([1.0], [1.0], usage=usage))
    assert ours(reader.usage) == theirs("openai", "embeddings", usage)


@given(counts=COUNTS)
@settings(max_examples=15)
def test_what_clients_are_told_says_the_same_in_each_dialect(counts: list[int]) -> None:
    """Of Messages, what was thought is left to its clients."""
    fresh, cached, written, thought = counts
    prompt, completion = fresh + cached + written, fresh + thought + 1
    usage = Usage(prompt, completion, prompt + completion, cached, written, 0, thought)
    choice = b'{"delta":{"content":"a"},"finish_reason":"stop"}'
    stream = b'data: {"choices":[%b],"usage":%b}\n\ndata: [DONE]\n\n' % (choice, write_usage(usage))

    def as_told(writer: Writer) -> Json:
        reader = read_into(writer)
        reader.feed(stream)
        return json.loads(b"".join(reader.result()))["usage"]

    assert theirs("openai", "chat", as_told(gathered().writer)) == ours(usage)
    assert theirs("openai", "responses", as_told(responses.answer_writer())) == ours(usage)
    of_messages = theirs("anthropic", "default", as_told(messages.answer_writer()))
    assert of_messages[:4] == ours(usage)[:4]


def test_a_part_that_is_larger_than_its_whole_stands_beside_it() -> None:
    """As in an answer of Perplexity's sonar-deep-research, whose total leaves it out."""
    usage = {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196}
    read = read_usage(Raw(json.dumps(usage | {"reasoning_tokens": 73_997}).encode()))
    assert (read.completion_tokens, read.reasoning_tokens) == (81_160, 73_997)
