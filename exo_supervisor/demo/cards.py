"""The model cards that a demo node claims to know."""

from exo_supervisor.demo.answers import JsonObject

# (family, base model, id stem, layers, hidden size, context length, bytes of the 4-bit weights)
_SHELF = (
    ("llama", "Llama 3.2 1B", "Llama-3.2-1B-Instruct", 16, 2048, 131072, 729808896),
    ("llama", "Llama 3.2 3B", "Llama-3.2-3B-Instruct", 28, 3072, 131072, 1863319552),
    ("llama", "Llama 3.1 8B", "Meta-Llama-3.1-8B-Instruct", 32, 4096, 131072, 4637851648),
    ("llama", "Llama 3.3 70B", "Llama-3.3-70B-Instruct", 80, 8192, 131072, 40652242944),
    ("qwen", "Qwen3 0.6B", "Qwen3-0.6B", 28, 1024, 32768, 342884352),
    ("qwen", "Qwen3 30B A3B", "Qwen3-30B-A3B", 48, 2048, 32768, 17612931072),
    ("qwen", "Qwen3 235B A22B", "Qwen3-235B-A22B-Instruct-2507", 94, 4096, 262144, 141733920768),
    ("qwen", "Qwen3 Coder 480B", "Qwen3-Coder-480B-A35B-Instruct", 62, 6144, 262144, 289910292480),
    ("deepseek", "DeepSeek V3.1", "DeepSeek-V3.1", 61, 7168, 131072, 405874409472),
    ("gpt-oss", "GPT-OSS 20B", "gpt-oss-20b-MXFP4", 24, 2880, 131072, 12025908224),
    ("glm", "GLM 4.5 Air", "GLM-4.5-Air", 46, 4096, 131072, 60129542144),
    ("gemma", "Gemma 4 31B", "gemma-4-31b-it", 60, 5376, 262144, 16881429356),
)
SHELF_IDS = tuple(
    f"mlx-community/{row[2]}-{quantization}" for row in _SHELF for quantization in ("4bit", "8bit")
)
LEGACY_IDS = (
    "llama-3.3-70b", "llama-3.2-1b", "llama-3.2-1b-8bit", "llama-3.2-3b", "llama-3.2-3b-8bit",
    "llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "llama-3-8b", "llama-3-70b",
    "mistral-nemo", "mistral-large", "deepseek-coder-v2-lite", "deepseek-v3", "deepseek-r1",
    "llava-1.5-7b-hf", "qwen-2.5-0.5b", "qwen-2.5-7b", "qwen-2.5-coder-7b", "qwen-2.5-72b",
    "gemma2-9b", "gemma2-27b", "phi-3.5-mini", "phi-4", "dummy",
)  # fmt: skip

LEGACY_DEVICE: JsonObject = {
    "model": "Linux Box (Device: CPU)",
    "chip": "Unknown Chip (Device: CPU)",
    "memory": 24105,
    "flops": {"fp32": 0.0, "fp16": 0.0, "int8": 0.0},
}
"""What a node of generation A says of its machine."""


def card(model: str, generation: str) -> JsonObject:
    """Return the card of `model` as `/state` of B or C spells it; an unknown one is custom."""
    row = next((row for row in _SHELF if row[2] in model), None)
    family, base, _, layers, hidden, context, size = row or ("", "", "", 4, 64, 2048, 919808)
    newer: JsonObject = {
        "backends": ["MlxMetal", "MlxCpu", "MlxCuda", "Vllm"],
        "reasoningDialect": "none",
    }
    return {
        "modelId": model,
        "storageSize": {"inBytes": size * (2 if model.endswith("8bit") else 1)},
        "nLayers": layers,
        "hiddenSize": hidden,
        "supportsTensor": row is not None,
        "numKeyValueHeads": 4,
        "tasks": ["TextGeneration"],
        "components": None,
        "family": family,
        "quantization": model.rsplit("-", 1)[-1] if row else "",
        "baseModel": base,
        "capabilities": ["text"] if row or generation == "B" else [],
        **(newer if generation == "C" else {}),
        "contextLength": context,
        "usesCfg": False,
        "trustRemoteCode": False,
        "isCustom": row is None,
        "vision": None,
        "samplingDefaults": dict.fromkeys(
            (
                "temperature", "topP", "topK", "minP", "repetitionPenalty", "presencePenalty",
                "frequencyPenalty", "thinking", "nonThinking",
            )
        ),
    }  # fmt: skip


def listed(model: str, generation: str) -> JsonObject:
    """Return the item of `model` in `/v1/models` of B or C."""
    about = card(model, generation)
    return {
        "id": model,
        "object": "model",
        "created": 1795410301,
        "owned_by": "exo",
        "hugging_face_id": model,
        "name": model.rsplit("/", 1)[-1],
        "description": "",
        "context_length": about["contextLength"],
        "tags": [],
        "storage_size_megabytes": about["storageSize"]["inBytes"] // (1 << 20),
        "supports_tensor": about["supportsTensor"],
        "tasks": about["tasks"],
        "is_custom": about["isCustom"],
        "family": about["family"],
        "quantization": about["quantization"],
        "base_model": about["baseModel"],
        "capabilities": about["capabilities"],
        **({"reasoning_dialect": "none"} if generation == "C" else {}),
    }
