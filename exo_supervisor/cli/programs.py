"""The table of programs that `connect` knows: what each has to be told, and where it keeps that.

In a text $URL is the listener's, $TOKEN its token, $VARIABLE the variable that has it, $MODEL the
model. A `file` that another variable moves is written after it, as `$CODEX_HOME:~/.codex/...`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

NAME = "exo-supervisor"
Edit = Literal["", "json", "toml", "yaml", "manager"]


class Program(NamedTuple):
    """One program: its environment, its own file and what goes in there, and what people do.

    `flags` are what it is started with, `new` is what the file holds where there is none yet, and
    `do` says what is left to do by hand.
    """

    environ: Mapping[str, str] = MappingProxyType({})
    command: str = ""
    flags: tuple[str, ...] = ()
    file: str = ""
    edit: Edit = ""
    entry: object = None
    new: str = ""
    do: str = ""


_CLAUDE = {
    "ANTHROPIC_BASE_URL": "$URL",
    "ANTHROPIC_AUTH_TOKEN": "$TOKEN",
    "ANTHROPIC_MODEL": "$MODEL",
}
_CODEX = "{name='exo',wire_api='responses',env_key='$VARIABLE',base_url='$URL/v1'}"
_OF_PI = {
    "baseUrl": "$URL/v1",
    "api": "openai-completions",
    "apiKey": "$TOKEN",
    "models": [{"id": "$MODEL", "name": "$MODEL"}],
}

PROGRAMS: Mapping[str, Program] = {
    "claude-code": Program(
        environ=_CLAUDE,
        command="claude",
        file="$CLAUDE_CONFIG_DIR:~/.claude/settings.json",
        edit="json",
        entry={"env": _CLAUDE},
    ),
    "codex": Program(
        environ={"$VARIABLE": "$TOKEN"},
        command="codex",
        flags=(
            *("-c", 'model="$MODEL"', "-c", f'model_provider="{NAME}"'),
            *("-c", 'web_search="disabled"', "-c"),
            f"model_providers.{NAME}={_CODEX}",
        ),
        file="$CODEX_HOME:~/.codex/config.toml",
        edit="toml",
        entry={
            "model": "$MODEL",
            "model_provider": NAME,
            "web_search": "disabled",
            "model_providers": {
                NAME: {
                    "name": NAME,
                    "base_url": "$URL/v1",
                    "env_key": "$VARIABLE",
                    "wire_api": "responses",
                }
            },
        },
        do="it reads its token from $VARIABLE: export it where codex is started",
    ),
    "opencode": Program(
        environ={"$VARIABLE": "$TOKEN", "OPENCODE_CONFIG_CONTENT": "$ENTRY"},
        command="opencode",
        file="$OPENCODE_CONFIG_DIR:~/.config/opencode/opencode.json",
        edit="json",
        entry={
            "provider": {
                NAME: {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": NAME,
                    "options": {"baseURL": "$URL/v1", "apiKey": "{env:$VARIABLE}"},
                    "models": {"$MODEL": {"name": "$MODEL"}},
                }
            },
            "model": f"{NAME}/$MODEL",
        },
        new='{"$schema": "https://opencode.ai/config.json"}',
        do="it reads its token from $VARIABLE: export it where opencode is started",
    ),
    "pi": Program(
        command="pi",
        file="$PI_CODING_AGENT_DIR:~/.pi/agent/models.json",
        edit="json",
        entry={"providers": {NAME: _OF_PI}},
        do="choose the model in it by /model",
    ),
    "openclaw": Program(
        command="openclaw",
        file="~/.openclaw/openclaw.json",
        edit="json",
        entry={"models": {"mode": "merge", "providers": {NAME: _OF_PI}}},
        do=f"openclaw models set {NAME}/$MODEL",
    ),
    "open-webui": Program(
        environ={"OPENAI_API_BASE_URL": "$URL/v1", "OPENAI_API_KEY": "$TOKEN"},
        command="open-webui",
        do="or in it: Admin Settings, Connections, OpenAI API, with this URL and key",
    ),
    "n8n": Program(
        do="in n8n: Credentials, New, OpenAI, with Base URL $URL/v1 and the token as API Key",
    ),
    "vscode": Program(
        do="in VS Code: Chat, Manage Models, Ollama, with the URL $URL/t/$TOKEN",
    ),
    "zed": Program(
        environ={"EXO_SUPERVISOR_API_KEY": "$TOKEN"},
        command="zed",
        file="~/.config/zed/settings.json",
        edit="json",
        entry={
            "language_models": {
                "openai_compatible": {
                    NAME: {
                        "api_url": "$URL/v1",
                        "available_models": [
                            {"name": "$MODEL", "display_name": "$MODEL", "max_tokens": 32768}
                        ],
                    }
                }
            }
        },
        do="it asks for the token once, or takes it from EXO_SUPERVISOR_API_KEY",
    ),
    "aider": Program(
        environ={"OPENAI_API_BASE": "$URL/v1", "OPENAI_API_KEY": "$TOKEN"},
        command="aider",
        flags=("--model", "openai/$MODEL"),
        file="~/.aider.conf.yml",
        edit="yaml",
        entry={
            "model": "openai/$MODEL",
            "openai-api-base": "$URL/v1",
            "openai-api-key": "$TOKEN",
        },
    ),
    "continue": Program(
        command="cn",
        file="$CONTINUE_GLOBAL_DIR:~/.continue/config.yaml",
        edit="yaml",
        entry={
            "models": [
                {
                    "name": f"$MODEL ({NAME})",
                    "provider": "openai",
                    "model": "$MODEL",
                    "apiBase": "$URL/v1",
                    "apiKey": "$TOKEN",
                }
            ]
        },
        new=f"name: {NAME}\nversion: 1.0.0\nschema: v1\n",
    ),
    "llm": Program(
        command="llm",
        file="$LLM_USER_PATH:~/.config/io.datasette.llm/extra-openai-models.yaml",
        edit="yaml",
        entry=[
            {
                "model_id": f"{NAME}/$MODEL",
                "model_name": "$MODEL",
                "api_base": "$URL/t/$TOKEN/v1",
            }
        ],
        do=f"llm -m {NAME}/$MODEL PROMPT",
    ),
    "home-assistant": Program(
        do="in Home Assistant: Add Integration, Ollama, with the URL $URL/t/$TOKEN",
    ),
    "openai": Program(
        environ={"OPENAI_BASE_URL": "$URL/v1", "OPENAI_API_KEY": "$TOKEN"},
        do="OpenAI's SDKs read both by themselves",
    ),
    "anthropic": Program(
        environ={"ANTHROPIC_BASE_URL": "$URL", "ANTHROPIC_API_KEY": "$TOKEN"},
        do="Anthropic's SDKs read both by themselves",
    ),
    "ollama": Program(environ={"OLLAMA_HOST": "$URL/t/$TOKEN"}, command="ollama"),
    "token-manager": Program(
        file="~/.token_manager_config.json",
        edit="manager",
        do='in supervisor.toml it is a [[client]] with profile = "token-manager" and a name; '
        "exo-supervisor token new NAME makes its token; then start it anew",
    ),
}
