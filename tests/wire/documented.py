"""One body or several a path, in which each documented member stands at least once.

As of openai 3.57, anthropic 2.14, ollama 0.6. Members that cannot stand together have bodies of
their own; of what is refused or only its own dialect's (server tools, files) one example stands.
"""

from typing import Any, Final, NamedTuple

Json = dict[str, Any]

SCHEMA: Final[Json] = {"type": "object", "properties": {"city": {"type": "string"}}}
PIXEL: Final = "data:image/png;base64,aGk="
_MARK: Final[Json] = {"type": "ephemeral", "ttl": "5m"}
_POINT: Final[Json] = {"mode": "explicit", "ttl": "30m"}


def _function(name: str, **more: object) -> Json:
    function = {"name": name, "description": "d", "parameters": SCHEMA, "strict": True}
    return {"type": "function", "function": function | more}


_CALL: Json = {
    "id": "c1",
    "type": "function",
    "index": 0,
    "function": {"name": "f", "arguments": '{"city":"Ulm"}', "id": "c1"},
}

CHAT: Final[Json] = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "rules", "name": "boss"},
        {"role": "system", "content": [{"type": "text", "text": "more"}], "name": "boss"},
        {
            "role": "user",
            "name": "anna",
            "content": [
                {"type": "text", "text": "look", "prompt_cache_breakpoint": _POINT},
                {
                    "type": "image_url",
                    "image_url": {"url": PIXEL, "detail": "low"},
                    "prompt_cache_breakpoint": _POINT,
                },
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                {"type": "file", "file": {"file_data": "x", "file_id": "i", "filename": "n"}},
            ],
        },
        {
            "role": "assistant",
            "name": "bot",
            "content": [{"type": "text", "text": "so"}, {"type": "refusal", "refusal": "not so"}],
            "refusal": "no",
            "audio": {"id": "a1"},
            "reasoning_content": "hm",
            "reasoning": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
            "tool_calls": [
                _CALL,
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "warm", "name": "f"},
        {
            "role": "system",
            "name": "boss",
            "content": [{"type": "text", "text": "now", "prompt_cache_breakpoint": _POINT}],
        },
        {"role": "assistant", "function_call": {"name": "h", "arguments": '{"city":"Ulm"}'}},
        {"role": "function", "name": "h", "content": "done"},
        {"role": "user", "content": "go on"},
    ],
    "audio": {"format": "wav", "voice": "alloy"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "h", "description": "d", "parameters": SCHEMA}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 9,
    "max_tokens": 8,
    "metadata": {"a": "b"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "x", "policy": {"input": {"mode": "score"}}},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "guess"},
    "presence_penalty": 0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": _POINT,
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "description": "d", "schema": SCHEMA, "strict": True},
    },
    "safety_identifier": "s",
    "seed": 7,
    "service_tier": "flex",
    "stop": ["END"],
    "store": False,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "temperature": 0.5,
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "tools": [
        _function("f"),
        {"type": "custom", "custom": {"name": "g", "description": "d", "format": {"type": "text"}}},
    ],
    "top_logprobs": 2,
    "top_p": 0.9,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
}
_CHAT_ALSO: Final[Json] = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 8,
    "response_format": {"type": "grammar", "grammar": "x"},
    "tools": [_function("f"), _function("g")],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    },
}

MESSAGES: Final[Json] = {
    "model": "m",
    "max_tokens": 9,
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look", "cache_control": _MARK},
                {
                    "type": "image",
                    "cache_control": _MARK,
                    "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                    "transformations": {"oversized_image": "resize"},
                },
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "f"}},
                {
                    "type": "document",
                    "title": "t",
                    "context": "c",
                    "citations": {"enabled": True},
                    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {
                    "type": "text",
                    "text": "so",
                    "citations": [{"type": "char_location", "cited_text": "x"}],
                },
                {
                    "type": "tool_use",
                    "id": "t1",
                    "name": "f",
                    "input": {"city": "Ulm"},
                    "caller": {"type": "direct"},
                    "cache_control": _MARK,
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "is_error": True,
                    "cache_control": _MARK,
                    "content": [
                        {"type": "text", "text": "warm", "cache_control": _MARK},
                        {"type": "image", "source": {"type": "url", "url": "https://a.org/b.png"}},
                        {"type": "tool_reference", "tool_name": "g"},
                    ],
                },
                {"type": "text", "text": "and?"},
            ],
        },
        {"role": "system", "content": "now in French"},
        {"role": "user", "content": "go on"},
    ],
    "cache_control": _MARK,
    "container": {"id": "c"},
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "diagnostics": {"previous_message_id": "p"},
    "inference_geo": "eu",
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "service_tier": "auto",
    "speed": "fast",
    "stop_sequences": ["END"],
    "stream": True,
    "system": [{"type": "text", "text": "rules", "cache_control": _MARK}],
    "thinking": {"type": "between_tools"},
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "tools": [
        {
            "type": "custom",
            "name": "f",
            "description": "d",
            "input_schema": SCHEMA,
            "strict": True,
            "input_examples": [{"city": "Ulm"}],
            "allowed_callers": ["code_execution_20260521"],
            "cache_control": _MARK,
            "defer_loading": True,
            "eager_input_streaming": True,
        },
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
    ],
    "top_p": 0.9,
    "temperature": 0.5,
    "top_k": 3,
    "user_profile_id": "u",
    "workspace_id": "w",
}
_MESSAGES_ALSO: Final[Json] = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hi"}],
    "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
    "output_format": {"type": "json_schema", "schema": SCHEMA},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
}

RESPONSES: Final[Json] = {
    "model": "m",
    "instructions": "rules",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        {
            "type": "message",
            "id": "i1",
            "status": "completed",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look", "prompt_cache_breakpoint": _POINT},
                {
                    "type": "input_image",
                    "image_url": PIXEL,
                    "detail": "low",
                    "prompt_cache_breakpoint": _POINT,
                },
            ],
        },
        {
            "type": "reasoning",
            "id": "r1",
            "status": "completed",
            "encrypted_content": "x",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "content": [{"type": "reasoning_text", "text": "hm"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "so",
                    "annotations": [{"type": "file_path", "file_id": "f", "index": 0}],
                    "logprobs": [{"token": "so", "logprob": -1}],
                },
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {
            "type": "function_call",
            "id": "fc1",
            "call_id": "c1",
            "name": "f",
            "namespace": "ns",
            "arguments": "{}",
            "status": "completed",
            "caller": {"type": "direct"},
        },
        {
            "type": "function_call_output",
            "id": "fo1",
            "call_id": "c1",
            "name": "f",
            "namespace": "ns",
            "status": "completed",
            "caller": {"type": "direct"},
            "output": [
                {"type": "input_text", "text": "warm"},
                {"type": "input_image", "image_url": PIXEL},
            ],
        },
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        {"role": "user", "content": "go on"},
    ],
    "include": ["reasoning.encrypted_content"],
    "client_metadata": {"a": "b"},
    "max_output_tokens": 9,
    "max_tool_calls": 3,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "prompt_cache_options": _POINT,
    "prompt_cache_retention": "24h",
    "reasoning": {"effort": "low", "summary": "auto", "generate_summary": "auto"},
    "safety_identifier": "s",
    "service_tier": "auto",
    "store": False,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "temperature": 0.5,
    "text": {
        "format": {
            "type": "json_schema",
            "name": "a",
            "description": "d",
            "schema": SCHEMA,
            "strict": True,
        },
        "verbosity": "low",
    },
    "tool_choice": {"type": "function", "name": "f"},
    "tools": [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": SCHEMA,
            "strict": True,
            "defer_loading": True,
        },
        {
            "type": "custom",
            "name": "g",
            "description": "d",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: line"},
        },
        {
            "type": "namespace",
            "name": "ns",
            "description": "of agents",
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": SCHEMA}],
        },
    ],
    "top_p": 0.9,
    "truncation": "disabled",
    "user": "u",
}
_RESPONSES_ALSO: Final[Json] = {
    "model": "m",
    "input": "hi",
    "tools": RESPONSES["tools"],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}],
    },
}

_OPTIONS: Final[Json] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 3,
    "min_p": 0.1,
    "seed": 7,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "repeat_penalty": 1.1,
    "repeat_last_n": 64,
    "num_predict": 9,
    "stop": ["END"],
    "num_ctx": 4096,
    "num_keep": 4,
    "num_batch": 512,
    "num_gpu": 1,
    "main_gpu": 1,
    "num_thread": 8,
    "numa": True,
    "low_vram": True,
    "vocab_only": True,
    "use_mmap": True,
    "use_mlock": True,
    "f16_kv": True,
    "logits_all": True,
    "embedding_only": True,
    "mirostat": 1,
    "mirostat_eta": 0.2,
    "mirostat_tau": 4,
    "typical_p": 0.9,
    "tfs_z": 0.9,
    "penalize_newline": False,
}
_ASKED: Final[Json] = {
    "model": "m",
    "stream": False,
    "think": "low",
    "format": SCHEMA,
    "keep_alive": "5m",
    "logprobs": True,
    "top_logprobs": 2,
    "truncate": True,
    "shift": True,
    "options": _OPTIONS,
}
OLLAMA_CHAT: Final[Json] = _ASKED | {
    "messages": [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "look", "images": ["iVBORaGk="]},
        {
            "role": "assistant",
            "content": "so",
            "thinking": "hm",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"index": 0, "name": "f", "arguments": {"city": "Ulm"}},
                },
                {"function": {"name": "g", "arguments": {"city": "Ulm"}}},
            ],
        },
        {"role": "tool", "tool_name": "g", "content": "dry"},
        {"role": "tool", "tool_call_id": "c1", "content": "warm"},
    ],
    "tools": [_function("f"), _function("g")],
}
OLLAMA_GENERATE: Final[Json] = _ASKED | {
    "prompt": "look",
    "system": "rules",
    "images": ["iVBORaGk="],
    "suffix": "",
    "template": "",
    "context": [],
    "raw": False,
}

BODIES: Final[dict[str, list[Json]]] = {
    "/v1/chat/completions": [CHAT, _CHAT_ALSO],
    "/v1/messages": [MESSAGES, _MESSAGES_ALSO],
    "/v1/responses": [RESPONSES, _RESPONSES_ALSO],
    "/v1/completions": [
        {"model": "m", "prompt": "hi", "max_tokens": 9, "suffix": "x", "echo": True}
    ],
    "/v1/embeddings": [
        {"model": "m", "input": ["a"], "dimensions": 4, "encoding_format": "base64", "user": "u"}
    ],
    "/api/chat": [OLLAMA_CHAT],
    "/api/generate": [OLLAMA_GENERATE],
    "/api/embed": [
        {"model": "m", "input": ["a"], "dimensions": 4, "truncate": False, "keep_alive": 5}
        | {"options": {"num_ctx": 9}}
    ],
    "/api/embeddings": [{"model": "m", "prompt": "a", "keep_alive": 5, "options": {"num_ctx": 9}}],
}


class Row(NamedTuple):
    """Members that a target is not told of, and why nobody is the worse for it."""

    where: str
    """A part of the path."""
    targets: tuple[str, ...]
    names: tuple[str, ...]
    why: str

    def fits(self, name: str, target: str) -> bool:
        """Say whether it is of a member, or of what is in it."""
        if target not in self.targets:
            return False
        return any(name == own or name.startswith((f"{own}.", f"{own}[")) for own in self.names)


_ALL: Final = ("openai", "anthropic", "exo")
_OTHERS: Final = ("openai", "exo")
_OLLAMA: Final = "/api/"

HARMLESS: Final = (
    Row(
        "/v1/chat/completions",
        ("anthropic",),
        (
            "metadata",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "messages[user].content[text].prompt_cache_breakpoint",
            "messages[user].content[image_url].prompt_cache_breakpoint",
            "messages[system].content[text].prompt_cache_breakpoint",
            "safety_identifier",
            "service_tier",
        ),
        "is of the price, the pace or the books of an answer",
    ),
    Row(
        "/v1/chat/completions",
        ("anthropic",),
        ("messages[user].content[image_url].image_url.detail",),
        "asks for no more than is seen anyhow: the whole image",
    ),
    Row(
        "/v1/chat/completions",
        ("anthropic",),
        (
            "messages[assistant].reasoning_content",
            "messages[assistant].reasoning",
            "messages[assistant].reasoning_details",
        ),
        "a thought without its maker's signature is refused",
    ),
    Row(
        "/v1/chat/completions",
        ("anthropic",),
        ("messages[assistant].tool_calls[function].function.id", "messages[tool].name"),
        "is in the call itself",
    ),
    Row(
        "/v1/chat/completions",
        ("anthropic",),
        (
            "messages[assistant].tool_calls[function].type",
            "tool_choice.type",
            "tools[function].type",
        ),
        "is a function without it, too",
    ),
    Row("/v1/chat/completions", ("anthropic",), ("function_call",), "is of `functions`, a demand"),
    Row("/v1/chat/completions", ("anthropic",), ("top_logprobs",), "is of `logprobs`, a demand"),
    Row("/v1/chat/completions", ("anthropic",), ("max_tokens",), "its newer name has been said"),
    Row(
        "/v1/chat/completions",
        ("anthropic",),
        ("response_format.json_schema.name", "response_format.json_schema.strict"),
        "is a label; a schema is kept to in any case",
    ),
    Row(
        "/v1/chat/completions",
        ("anthropic", "exo"),
        ("stream_options",),
        "the usage is asked for anyhow, and padding of events is for whom there is none",
    ),
    Row(
        "/v1/chat/completions",
        ("anthropic",),
        ("stream",),
        "a target is asked as is best, and the client answered as it asked",
    ),
    Row(
        "/v1/messages",
        _OTHERS,
        (
            "cache_control",
            "system[text].cache_control",
            "tools[custom].cache_control",
            "messages[user].content[text].cache_control",
            "messages[user].content[image].cache_control",
            "messages[user].content[tool_result].cache_control",
            "messages[user].content[tool_result].content[text].cache_control",
            "messages[assistant].content[tool_use].cache_control",
            "diagnostics",
            "metadata",
            "service_tier",
            "speed",
            "user_profile_id",
            "workspace_id",
        ),
        "is of the price, the pace or the books of an answer",
    ),
    Row(
        "/v1/messages",
        _OTHERS,
        (
            "messages[assistant].content[redacted_thinking]",
            "messages[assistant].content[thinking].signature",
        ),
        "is for its maker alone",
    ),
    Row(
        "/v1/messages",
        ("openai",),
        ("messages[assistant].content[thinking]",),
        "a chat has no word for an earlier thought",
    ),
    Row(
        "/v1/messages",
        _OTHERS,
        (
            "messages[assistant].content[text].citations",
            "messages[assistant].content[tool_use].caller",
        ),
        "tells where from something is that is told itself",
    ),
    Row(
        "/v1/messages",
        _OTHERS,
        ("tools[custom].defer_loading", "tools[custom].eager_input_streaming"),
        "the tool is told at once, and its arguments come as they are made",
    ),
    Row("/v1/messages", _OTHERS, ("tools[custom].type",), "is a custom tool without it, too"),
    Row("/v1/messages", _OTHERS, ("tools[custom].input_schema.type",), "is told in any case"),
    Row("/v1/messages", _OTHERS, ("thinking.display",), "a thought is told as it comes"),
    Row("/v1/messages", _OTHERS, ("thinking.budget_tokens",), "so few are as few as none named"),
    Row(
        "/v1/messages",
        _OTHERS,
        ("context_management",),
        "earlier thoughts are kept or not as the model's own template does",
    ),
    Row("/v1/messages", _OTHERS, ("stream",), "as for a chat"),
    Row(
        "/v1/responses",
        _ALL,
        (
            "client_metadata",
            "metadata",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "input[message].content[input_text].prompt_cache_breakpoint",
            "input[message].content[input_image].prompt_cache_breakpoint",
            "safety_identifier",
            "service_tier",
            "user",
        ),
        "is of the price, the pace or the books of an answer",
    ),
    Row(
        "/v1/responses",
        _ALL,
        (
            "input[message].id",
            "input[message].phase",
            "input[message].status",
            "input[message].type",
            "input[reasoning].id",
            "input[reasoning].status",
            "input[function_call].caller",
            "input[function_call].id",
            "input[function_call].status",
            "input[function_call_output].caller",
            "input[function_call_output].id",
            "input[function_call_output].name",
            "input[function_call_output].namespace",
            "input[function_call_output].status",
            "input[message].content[output_text].annotations",
            "input[message].content[output_text].logprobs",
        ),
        "tells of something that is told itself",
    ),
    Row(
        "/v1/responses",
        _ALL,
        ("input[reasoning].encrypted_content", "input[reasoning].summary", "include"),
        "is for its maker alone, or says shortly what that has",
    ),
    Row(
        "/v1/responses",
        ("openai", "anthropic"),
        ("input[reasoning]",),
        "a chat has no word for an earlier thought",
    ),
    Row(
        "/v1/responses",
        _ALL,
        ("reasoning.summary", "reasoning.generate_summary"),
        "a thought is told as it comes",
    ),
    Row("/v1/responses", _ALL, ("max_tool_calls",), "nobody here runs any of the tools it is of"),
    Row("/v1/responses", _ALL, ("tools[function].defer_loading",), "the tool is told at once"),
    Row("/v1/responses", _ALL, ("tools[custom].format.type",), "its grammar is told"),
    Row("/v1/responses", _ALL, ("truncation",), "no prompt is ever cut"),
    Row(
        "/v1/responses",
        _ALL,
        ("tools[custom]", "tools[namespace]"),
        "of tools that are not allowed none is told",
    ),
    Row("/v1/responses", ("anthropic",), ("input[message].content[input_image].detail",), "chat"),
    Row("/v1/responses", ("anthropic",), ("text.format.name", "text.format.strict"), "as chat's"),
    Row("/v1/responses", _ALL, ("stream", "stream_options"), "as for a chat"),
    Row(_OLLAMA, _ALL, ("keep_alive",), "whoever serves decides how long it keeps a model"),
    Row(_OLLAMA, _ALL, ("truncate", "shift"), "no prompt is ever cut"),
    Row(_OLLAMA, _ALL, ("top_logprobs",), "is of `logprobs`, a demand"),
    Row("/api/embed", _ALL, ("options",), "of how a model is run, and vectors are not sampled"),
    Row(
        _OLLAMA,
        _ALL,
        tuple(
            f"options.{name}"
            for name in (
                "f16_kv", "logits_all", "low_vram", "main_gpu", "num_batch", "num_ctx", "num_gpu",
                "num_keep", "num_thread", "numa", "use_mlock", "use_mmap", "vocab_only",
            )
        ),
        "is of how a model is run, which its target decides",
    ),
    Row(
        "/api/chat",
        ("openai", "anthropic"),
        ("messages[assistant].thinking",),
        "a chat has no word for an earlier thought",
    ),
    Row(
        "/api/chat",
        _ALL,
        ("messages[assistant].tool_calls[function].type", "tools[function].type"),
        "is a function without it, too",
    ),
    Row("/api/chat", _ALL, ("messages[tool].tool_call_id",), "the first call that waits is meant"),
)  # fmt: skip
"""What may be dropped in silence: every row is of something that is."""

DEMANDED: Final = (
    Row("/v1/chat/completions", ("anthropic",), ("audio", "functions", "logit_bias", "modalities",
        "web_search_options"), "nobody is asked who ignores them, whatever is in them"),
    Row("/v1/messages", _OTHERS, ("container", "messages[user].content[document]",
        "messages[user].content[image].source", "messages[user].content[image].transformations",
        "messages[user].content[tool_result].content[tool_reference]",
        "context_management.edits[clear_tool_uses_20250919]", "tools[custom].input_examples",
        "tools[web_search_20250305]"), "only Anthropic is asked, whatever is in them"),
)  # fmt: skip
"""What is never dropped, and whose members need no word of their own therefore."""
