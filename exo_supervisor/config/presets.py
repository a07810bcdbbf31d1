"""What is known of providers that many people use: one row each, which a file names.

Each row says only what its own documents say, which stand beside it; what is not written here is
OpenAI's way, or learnt from the provider's answers. How a key is sent follows from the dialect.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from exo_supervisor.core.policy import NEW_LIMIT, NO_STREAM_OPTIONS

PresetName = Literal[
    "", "openai", "anthropic", "openrouter", "google", "groq", "mistral", "together", "deepseek",
    "huggingface", "xai", "ollama", "vllm", "llamacpp", "lmstudio", "azure",
]  # fmt: skip


class Preset(Struct, frozen=True, kw_only=True):
    """What a `[[provider]]` need not say; where `base_url` is empty, `example` shows its form."""

    base_url: str = ""
    example: str = ""
    dialect: Literal["openai", "anthropic"] = "openai"
    key_env: str = ""
    keyless: bool = False
    """It serves without a key, unless the person who runs it asks for one."""
    quirks: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    """Fields that change an answer and that it silently drops."""

    def given(self) -> dict[str, str]:
        """List what it fills in, by the names of the file's keys."""
        values = {"base_url": self.base_url, "dialect": self.dialect, "key_env": self.key_env}
        return {key: value for key, value in values.items() if value}


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # platform.openai.com/docs/api-reference/chat/create: `max_tokens` is deprecated, and models
        # that reason refuse it.
        "openai": Preset(
            base_url="https://api.openai.com/v1",
            key_env="OPENAI_API_KEY",
            quirks=frozenset({NEW_LIMIT}),
        ),
        # docs.anthropic.com/en/api/overview
        "anthropic": Preset(
            base_url="https://api.anthropic.com", dialect="anthropic", key_env="ANTHROPIC_API_KEY"
        ),
        # openrouter.ai/docs/api-reference/overview
        "openrouter": Preset(base_url="https://openrouter.ai/api/v1", key_env="OPENROUTER_API_KEY"),
        # ai.google.dev/gemini-api/docs/openai
        "google": Preset(
            base_url="https://generativelanguage.googleapis.com/v1beta/openai",
            key_env="GEMINI_API_KEY",
        ),
        # console.groq.com/docs/openai
        "groq": Preset(base_url="https://api.groq.com/openai/v1", key_env="GROQ_API_KEY"),
        # docs.mistral.ai/api: a field that its schema does not have is refused, and the last chunk
        # of a stream tells the usage unasked.
        "mistral": Preset(
            base_url="https://api.mistral.ai/v1",
            key_env="MISTRAL_API_KEY",
            quirks=frozenset({NO_STREAM_OPTIONS}),
        ),
        # docs.together.ai/docs/openai-api-compatibility
        "together": Preset(base_url="https://api.together.xyz/v1", key_env="TOGETHER_API_KEY"),
        # api-docs.deepseek.com
        "deepseek": Preset(base_url="https://api.deepseek.com/v1", key_env="DEEPSEEK_API_KEY"),
        # huggingface.co/docs/inference-providers
        "huggingface": Preset(base_url="https://router.huggingface.co/v1", key_env="HF_TOKEN"),
        # docs.x.ai/docs/api-reference
        "xai": Preset(base_url="https://api.x.ai/v1", key_env="XAI_API_KEY"),
        # docs.ollama.com/api/openai-compatibility: these are the fields that it lists as not taken.
        "ollama": Preset(
            base_url="http://127.0.0.1:11434/v1",
            keyless=True,
            ignored=frozenset({"n", "logit_bias", "tool_choice"}),
        ),
        # docs.vllm.ai/en/latest/serving/openai_compatible_server.html
        "vllm": Preset(base_url="http://127.0.0.1:8000/v1", keyless=True),
        # github.com/ggml-org/llama.cpp/tree/master/tools/server
        "llamacpp": Preset(base_url="http://127.0.0.1:8080/v1", keyless=True),
        # lmstudio.ai/docs/developer/openai-compat
        "lmstudio": Preset(base_url="http://127.0.0.1:1234/v1", keyless=True),
        # learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: each resource has an
        # address of its own, which takes a key as OpenAI does; its models are OpenAI's.
        "azure": Preset(
            example="https://RESOURCE.openai.azure.com/openai/v1",
            key_env="AZURE_OPENAI_API_KEY",
            quirks=frozenset({NEW_LIMIT}),
        ),
    }
)

ANY = Preset()
"""Stands for a provider that names none."""


def preset_of(name: str) -> Preset:
    """Return what is known of a provider by the preset that it names, if it names one."""
    return PRESETS.get(name, ANY)
