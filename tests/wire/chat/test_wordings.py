"""What the refusals of real upstreams mean, each in the words that it is known for."""

import json

import pytest

from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.wire.chat import wordings
from exo_supervisor.wire.chat.judge import in_band, judge, said

JSON = "application/json"


def judged(status: int, body: object, headers: dict[str, str] | None = None) -> Failure:
    """Judge a provider's refusal; a text is the message of an error in OpenAI's shape."""
    whole = {"error": {"message": body}} if isinstance(body, str) else body
    found = judge(
        status, JSON, headers or {}, json.dumps(whole).encode(), exo=False, now_wall=1_700_000_000.0
    )
    assert found is not None
    return found


def openai(message: str, code: str | None = None, param: str | None = None) -> object:
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def google(status: int, message: str, name: str) -> object:
    return [{"error": {"code": status, "message": message, "status": name}}]


def anthropic(kind: str, message: str) -> object:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def broker(status: int, raw: str) -> object:
    metadata = {"raw": raw, "provider_name": "Somebody"}
    return {"error": {"message": "Provider returned error", "code": status, "metadata": metadata}}


KEY = (
    (401, openai("Incorrect API key provided: sk-made-up.", "invalid_api_key")),
    (401, "User not found."),
    (401, None),
    (400, google(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")),
    (400, google(400, "API key expired. Please renew the API key.", "INVALID_ARGUMENT")),
    (400, {"code": "Client specified an invalid argument",
           "error": "Incorrect API key provided: xa***. You can obtain an API key online."}),
    (400, anthropic("invalid_request_error", "Your credit balance is too low to access the API. "
                    "Please go to Plans & Billing to upgrade or purchase credits.")),
    (400, anthropic("invalid_request_error", "This organization has been disabled.")),
    (403, google(403, "Permission denied: Consumer has been suspended.", "PERMISSION_DENIED")),
    (403, google(403, "Method doesn't allow unregistered callers.", "PERMISSION_DENIED")),
    (403, "Key limit exceeded (total limit). Manage it in the settings of your keys"),
    (403, openai("You have insufficient permissions for this operation. Missing scopes: x")),
    (403, {"code": "The caller does not have permission to execute the specified operation",
           "error": "Your team has either used all available credits or reached its monthly "
                    "spending limit."}),
    (402, None),
    (402, "Insufficient Balance"),
    (402, "Insufficient credits. Add more in your settings"),
    (402, "You have exceeded your monthly included credits for Inference Providers."),
    (429, openai("You exceeded your current quota, please check your plan and billing details.",
                 "insufficient_quota")),
    (429, openai("Your account is not active, please check your billing details on our website.",
                 "billing_not_active")),
    (429, "Your team has either used all available credits or reached its monthly spending limit."),
)  # fmt: skip
MODEL = (
    (404, openai("The model `gpt-9` does not exist or you do not have access to it.",
                 "model_not_found")),
    (404, openai("Your organization must be verified to use the model `o9`.", "model_not_found")),
    (403, openai("Project `proj_1` does not have access to model `gpt-9`", "model_not_found")),
    (404, anthropic("not_found_error", "model: claude-9")),
    (404, google(404, "models/gemini-1.0 is not found for API version v1beta, or is not supported "
                      "for generateContent. Call ListModels to see the list.", "NOT_FOUND")),
    (404, "No endpoints found for some/model:free."),
    (404, 'model "llama9" not found, try pulling it first'),
    (404, {"object": "error", "message": "The model `x` does not exist.", "code": 404}),
    (404, "The model 'llama3-groq-tool-use-preview' was not found"),
    (404, None),
    (400, openai("The model `gemma2-9b-it` has been decommissioned and is no longer supported. "
                 "Please refer to the list of deprecations.", "model_decommissioned")),
    (400, "some/model-9 is not a valid model ID"),
    (400, "Model Not Exist"),
    (400, {"object": "error", "message": "Invalid model: mistral-9", "type": "invalid_model",
           "code": "1500"}),
    (400, "Unable to access model x/y. Please visit the list to view serverless models."),
    (400, openai("The requested model 'x/y' is not supported by any provider you have enabled.",
                 "model_not_supported")),
    (400, {"code": "invalid-argument", "error": "Model not found: grok-9"}),
    (410, "The model x has reached its end of life"),
    (400, "The provided model identifier is invalid."),
    (400, "Could not find model x"),
    (400, "Model x is not currently available."),
    (410, None),
    (400, broker(400, '{"error":{"message":"The model `x` does not exist","code":"nope"}}')),
)  # fmt: skip
LENGTH = (
    (400, openai("This model's maximum context length is 8192 tokens. However, your messages "
                 "resulted in 8545 tokens. Please reduce the length of the messages.",
                 "context_length_exceeded")),
    (400, openai("Input tokens exceed the configured limit of 272000 tokens. Your messages "
                 "resulted in 300001 tokens.")),
    (400, openai("Your input exceeds the context window of this model.")),
    (400, openai("prompt token count of 140000 exceeds the limit of 128000",
                 "model_max_prompt_tokens_exceeded")),
    (400, {"code": "invalid-argument",
           "error": "This model's maximum prompt length is 131072 but the request contains 5e5"}),
    (400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")),
    (400, anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit: "
                                             "188240 + 21333 > 200000")),
    (413, anthropic("request_too_large", "Request exceeds the maximum size")),
    (400, google(400, "The input token count (1196265) exceeds the maximum number of tokens "
                      "allowed (1048576).", "INVALID_ARGUMENT")),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. "
                    "Given: 5000 `inputs` tokens and 20 `max_new_tokens`",
           "error_type": "validation"}),
    (422, {"error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 9000",
           "error_type": "validation"}),
    (400, {"error": {"code": 400, "message": "the request exceeds the available context size, try "
                     "increasing it", "type": "exceed_context_size_error"}}),
    (500, {"error": {"code": 500, "message": "the request exceeds the available context size."}}),
    (400, {"object": "error", "message": "You passed 5000 input tokens and requested 0 output "
           "tokens. However, the model's context length is only 4096 tokens", "code": 400}),
    (400, {"message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with "
           "32768 maximum context length", "type": "invalid_request_prompt", "code": "3051"}),
    (400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
    (400, "Please reduce the length of the messages or completion. Current length is 9000"),
    (403, "Input token count + max_tokens exceeds the model's context window"),
    (400, "The number of tokens to keep from the prompt is greater than the context length"),
    (400, "Range of input length should be [1, 30720]"),
    (400, "Total tokens of image and text exceed max message tokens"),
    (400, "Input length 9000 exceeds the maximum length 8192"),
    (400, "Prompt length (9000) exceeds model limit 8192"),
    (400, "tokens limit exceeded. Maximum is 16385"),
    (400, "prompt too long; exceeded max context length by 12 tokens"),
    (400, broker(400, '{"error":{"message":"prompt is too long: 5 tokens > 4 maximum"}}')),
)  # fmt: skip
STREAM = (
    (400, openai("Your organization must be verified to stream this model. Please go to the "
                 "settings and click on Verify Organization.", "unsupported_value", "stream")),
    (400, openai("Unsupported value: 'stream' does not support true with this model. Only the "
                 "default (false) value is supported.", "unsupported_value", "stream")),
    (400, "This model does not support streaming"),
    (400, "Streaming is not supported for this model"),
    (400, "Streaming is disabled for this deployment"),
    (422, "stream must be false"),
    (400, openai("Unsupported value", "unsupported_value", "stream")),
    (422, "response streaming is not yet enabled; stream=true is not allowed"),
)  # fmt: skip
USAGE = (
    (400, openai("Unrecognized request argument supplied: stream_options")),
    (400, google(400, 'Invalid JSON payload received. Unknown name "stream_options": Cannot find '
                      "field.", "INVALID_ARGUMENT")),
    (400, openai("property 'stream_options' is unsupported")),
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"],
                       "msg": "Extra inputs are not permitted", "input": {"x": True}}]}),
)  # fmt: skip
FIELD = (
    (404, 'No endpoints found that support tool use. Try disabling "question".'),
    (404, "No endpoints found that support the provided 'tool_choice' value."),
    (404, "No endpoints found that support image input"),
    (400, anthropic("invalid_request_error",
                    "`temperature` and `top_p` cannot both be specified for this model.")),
    (400, openai("Unsupported parameter: 'stop' is not supported with this model.",
                 "unsupported_parameter", "stop")),
    (400, openai("Unsupported parameter: 'response_format' is not supported with this model.",
                 "unsupported_parameter", "response_format")),
    (400, openai("'messages.0' : for 'role:user' the following must be satisfied "
                 "[('messages.0.content' : value must be a string)]")),
    (400, openai("Failed to deserialize the JSON body into the target type: messages[0]: unknown "
                 "variant `image_url`, expected `text`")),
    (400, openai("max_tokens is too large: 100000. This model supports at most 16384 completion "
                 "tokens, whereas you provided 100000.", None, "max_tokens")),
    (400, {"object": "error", "message": '"auto" tool choice requires '
           "--enable-auto-tool-choice and --tool-call-parser to be set", "code": 400}),
    (400, "llama9 does not support tools"),
    (400, "At most 1 image(s) may be provided in one request."),
    (400, "json_schema is not available for this model"),
    (400, "This model only allows n=1"),
    (400, anthropic("invalid_request_error", "This model does not support assistant message "
                    "prefill. The conversation must end with a user message.")),
    (400, {"message": "Expected last role User or Tool (or Assistant with prefix True) for serving "
           "but got assistant", "type": "invalid_request_message_order", "code": "3230"}),
)  # fmt: skip
SPARE = (
    ("max_tokens", 400, openai("Unsupported parameter: 'max_tokens' is not supported with this "
                               "model. Use 'max_completion_tokens' instead.",
                               "unsupported_parameter", "max_tokens")),
    ("max_completion_tokens", 422,
     {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"],
                  "msg": "Extra inputs are not permitted", "input": 5}]}),
    ("temperature", 400, openai("Unsupported value: 'temperature' does not support 0.2 with this "
                                "model. Only the default (1) value is supported.",
                                "unsupported_value", "temperature")),
    ("temperature", 400, anthropic("invalid_request_error",
                                   "`temperature` is deprecated for this model.")),
    ("top_k", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"],
                                "msg": "Extra inputs are not permitted", "input": 5}]}),
    ("top_p", 400, anthropic("invalid_request_error", "top_p: Extra inputs are not permitted")),
    ("presence_penalty", 400, "Model x-4 does not support parameter presencePenalty."),
    ("reasoning_effort", 400, openai("Unsupported parameter: 'reasoning.effort' is not supported "
                                     "with this model.")),
    ("reasoning_effort", 400, openai("Unrecognized request argument supplied: reasoning_effort")),
    ("thinking", 400, anthropic("invalid_request_error",
                                "messages.1.content.0: Invalid `signature` in `thinking` block")),
    ("thinking", 400, anthropic("invalid_request_error",
                                "messages.3.content.0.thinking.signature: Field required, the "
                                "signature could not be verified")),
)  # fmt: skip
NOT_SPARE = (
    (400, openai("'temperature' must be between 0 and 2, other values are not supported.")),
    (400, openai("Unsupported value: max_tokens exceeds the maximum of this model", None,
                 "max_tokens")),
    (400, openai("Invalid 'temperature': integer above maximum value.")),
    (400, "The temperature in Paris is not a tool that is supported; tools are unsupported"),
    (403, "temperature is not supported for your plan"),
)  # fmt: skip
"""Of a value, of two fields at once, or not of a field at all."""
HERE = (
    (402, openai("This request requires more credits, or fewer max_tokens. You requested up to "
                 "65536 tokens, but can only afford 1234.")),
    (403, openai('Your input was flagged for "violence". No credits were charged.')),
    (403, openai("Country, region, or territory not supported",
                 "unsupported_country_region_territory")),
    (403, None),
    (451, None),
    (400, google(400, "User location is not supported for the API use.", "FAILED_PRECONDITION")),
    (400, openai("The response was filtered due to the prompt triggering the content management "
                 "policy.", "content_filter")),
    (400, {"code": "data_inspection_failed", "message": "Input data may contain inappropriate "
           "content."}),
    (404, "No endpoints found matching your data policy (Free model publication)."),
    (404, "No allowed providers are available for the selected model."),
    (413, openai("Request too large for model `x` in organization `org_1` service tier `on_demand` "
                 "on tokens per minute (TPM): Limit 6000, Requested 8001, please reduce your "
                 "message size and try again.", "rate_limit_exceeded")),
    (429, openai("Request too large for gpt-9 on tokens per min (TPM): Limit 30000, Requested "
                 "41000. The input or output tokens must be reduced in order to run successfully.",
                 "rate_limit_exceeded")),
    (451, None),
    (405, "Method Not Allowed"),
    (421, None),
    (423, None),
    (431, None),
    (498, "Flex tier capacity exceeded"),
    (400, openai("Content Exists Risk")),
    (400, "The request was blocked because it contains prohibited content"),
)  # fmt: skip
WRONG = (
    (400, openai("Invalid value: 'wizard'. Supported values are: 'system' and 'user'.",
                 "invalid_value", "messages[0].role")),
    (422, {"detail": [{"type": "string_type", "loc": ["body", "messages", 0, "content"],
                       "msg": "Input should be a valid string", "input": {"secret": "words"}}]}),
    (400, openai("An assistant message with 'tool_calls' must be followed by tool messages")),
    (400, None),
    (413, None),
    (422, None),
)  # fmt: skip
BUSY = (
    (409, None),
    (425, None),
    (429, None),
    (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}),
    (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
    (529, anthropic("overloaded_error", "Overloaded")),
    (500, "The request queue is full"),
    (429, {"error": "Model is overloaded", "error_type": "overloaded"}),
    (429, openai("Rate limit reached for model `x` on tokens per minute (TPM): Limit 6000, Used "
                 "5000, Requested 2000. Please try again in 3.61s. Need more tokens? Upgrade today "
                 "in your settings/billing", "rate_limit_exceeded")),
    (429, google(429, "You exceeded your current quota, please check your plan and billing "
                      "details. Please retry in 36.2s.", "RESOURCE_EXHAUSTED")),
    (429, broker(429, "x:free is temporarily rate-limited upstream. Please retry shortly, or add "
                      "your own key to accumulate your rate limits")),
    (429, broker(429, "slow down, try again in 3s")),
    (403, "You have exceeded a rate limit, try again in 5 minutes"),
    (429, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests"),
)  # fmt: skip
FAILED = (
    (424, {"error": "Request failed during generation", "error_type": "generation"}),
    (408, None),
    (502, broker(502, "<html>")),
    (302, None),
)

TABLE = [
    *((Fault.BAD_KEY, *row) for row in KEY),
    *((Fault.NOT_PLACED, *row) for row in MODEL),
    *((Fault.CONTEXT_LENGTH, *row) for row in LENGTH),
    *((Fault.FIELD_REFUSED, *row) for row in (*STREAM, *USAGE)),
    *((Fault.FIELD_REFUSED, *row) for _, *row in SPARE),
    *((Fault.UNSUPPORTED, *row) for row in FIELD),
    *((Fault.DECLINED, *row) for row in HERE),
    *((Fault.REJECTED, *row) for row in WRONG),
    *((Fault.BUSY, *row) for row in BUSY),
    *((Fault.BAD_STATUS, *row) for row in FAILED),
]


@pytest.mark.parametrize(("fault", "status", "body"), TABLE)
def test_a_wording_has_its_fault(fault: Fault, status: int, body: object) -> None:
    assert judged(status, body).fault is fault


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Unrecognized request argument supplied: api_key"),
        (400, "Invalid value: 'api_key'. Supported values are: 'text' and 'image_url'."),
        (400, "Unknown parameter: api_key"),
        (400, "Error while downloading https://house.example/a.png: 401 Unauthorized"),
        (400, "Failed to fetch the file: authentication is required there"),
        (400, "MCP server `crm` asks for an access token"),
        (400, "Invalid schema for function 'x': credentials is no type"),
        (403, "Your API key does not have permission to use the model vendor/dear"),
    ],
)
def test_no_key_is_left_alone_for_what_one_request_has(status: int, words: str) -> None:
    assert judged(status, openai(words)).fault is not Fault.BAD_KEY


@pytest.mark.parametrize(
    ("field", "status", "body"),
    [
        *SPARE,
        *(("stream", *row) for row in STREAM),
        *(("stream_options", *row) for row in USAGE),
        *(("", *row) for row in (*NOT_SPARE, *FIELD, *HERE, *WRONG)),
    ],
)
def test_a_field_that_may_be_left_out_is_named(field: str, status: int, body: object) -> None:
    assert judged(status, body).field == field


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (openai("x", "insufficient_quota"), Fault.BAD_KEY),
        (openai("The model `x` does not exist", "model_not_found"), Fault.NOT_PLACED),
        (anthropic("overloaded_error", "Overloaded"), Fault.BUSY),
        (anthropic("authentication_error", "invalid x-api-key"), Fault.BAD_KEY),
        (openai("prompt is too long"), Fault.CONTEXT_LENGTH),
        (broker(502, "boom"), Fault.ERROR_EVENT),
        ({"error": "boom"}, Fault.ERROR_EVENT),
        (5, Fault.ERROR_EVENT),
    ],
)
def test_an_error_in_a_stream_is_read_by_its_words_too(body: object, fault: Fault) -> None:
    assert in_band(said(body), exo=False, content=False) is fault


def test_an_empty_account_is_no_rate_even_where_it_names_a_time() -> None:
    quota = openai("You exceeded your current quota", "insufficient_quota")
    assert judged(429, quota, {"Retry-After": "5"}).fault is Fault.BAD_KEY


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 3.61s.", 3.61),
        ("Please try again in 20ms.", 0.02),
        ("Please retry in 1m12.5s", 72.5),
        ("try again in 2h3m", 7380.0),
        ("retry after 30 seconds", 30.0),
        ("try again in 5 minutes", 300.0),
        ("try again in a while", None),
        ("try again later", None),
    ],
)
def test_words_may_name_the_time_to_come_again(words: str, seconds: float | None) -> None:
    assert wordings.wait_named(words) == seconds
    assert judged(429, words).retry_after == (seconds and min(seconds, 3600.0))


def test_words_behind_a_broker_may_name_it_too() -> None:
    assert judged(429, broker(429, "slow down, try again in 3s")).retry_after == 3.0


def test_google_names_the_time_in_its_details() -> None:
    details = [{"@type": "x"}, {"retryDelay": 5}, {"retryDelay": "soon"}, {"retryDelay": "36s"}]
    assert judged(429, {"error": {"message": "x", "details": details}}).retry_after == 36.0


def test_words_about_money_are_told_and_words_about_a_key_are_not() -> None:
    assert judged(402, "Insufficient Balance").message == "Insufficient Balance"
    assert judged(403, "Key limit exceeded, no credits left").message == ""
    assert judged(401, "No auth credentials found").message == ""


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("bad [{'msg': 'no', 'input': {'a': 'secret'}}]", "bad [{'msg': 'no', …"),
        ("no [type=string_type, input_value='secret', input_type=str]", "no …"),
        ("your key sk-abcdef123456 is odd", "your key [secret] is odd"),
        ("your key pk-lf-ab…3456 is odd", "your key [secret] is odd"),
        ("Bearer abcdef123456 is odd", "[secret] is odd"),
    ],
)
def test_what_repeats_the_request_or_a_key_is_left_out(told: str, kept: str) -> None:
    assert judged(400, told).message == kept


@pytest.mark.parametrize(
    "told",
    [
        "skipping the tools of Skywork/Skywork-13B failed",
        "use hf transformers instead",
    ],
)
def test_words_that_begin_as_a_key_does_are_told(told: str) -> None:
    assert judged(400, told).message == told


def test_the_words_of_the_provider_behind_a_broker_are_told() -> None:
    raw = '{"error":{"message":"the inner words","code":"odd"}}'
    assert judged(400, broker(400, raw)).message == "the inner words"
    assert judged(400, broker(400, "plain words")).message == "plain words"
    assert judged(400, broker(400, "")).message == "Provider returned error"
    assert judged(400, broker(400, "5")).message == "Provider returned error"
