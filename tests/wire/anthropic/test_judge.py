"""What Anthropic's errors mean: by their type, and by their words, not by their status alone."""

import json

import pytest

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.judge import judge

ERRORS: list[tuple[int, str, str, Fault]] = [
    (400, "invalid_request_error",
     ("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
     "upgrade or purchase credits."), Fault.BAD_KEY),
    (401, "authentication_error", "invalid x-api-key", Fault.BAD_KEY),
    (402, "billing_error", "There is an issue with your billing or payment information.",
     Fault.BAD_KEY),
    (403, "permission_error",
     "Your API key does not have permission to use the specified resource.", Fault.BAD_KEY),
    (403, "permission_error", "This organization has been disabled.", Fault.BAD_KEY),
    (404, "not_found_error", "model: claude-x-9", Fault.NOT_PLACED),
    (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum",
     Fault.CONTEXT_LENGTH),
    (400, "invalid_request_error",
     "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
     Fault.CONTEXT_LENGTH),
    (413, "request_too_large", "Request exceeds the maximum size", Fault.CONTEXT_LENGTH),
    (429, "rate_limit_error",
     "This request would exceed your organization's rate limit of 80,000 input tokens per minute",
     Fault.BUSY),
    (529, "overloaded_error", "Overloaded", Fault.BUSY),
    (503, "overloaded_error", "Overloaded", Fault.BUSY),
    (500, "api_error", "Internal server error", Fault.SERVER_ERROR),
    (504, "timeout_error", "Request timed out", Fault.BAD_STATUS),
    (400, "invalid_request_error", "temperature: Extra inputs are not permitted",
     Fault.FIELD_REFUSED),
    (400, "invalid_request_error", "`temperature` is deprecated for this model.",
     Fault.FIELD_REFUSED),
    (400, "invalid_request_error", ("`temperature` and `top_p` cannot both be specified for this "
     "model. Please use only one."), Fault.UNSUPPORTED),
    (400, "invalid_request_error",
     ("This model does not support assistant message prefill. "
      "The conversation must end with a user message."), Fault.UNSUPPORTED),
    (400, "invalid_request_error", "This model does not support the effort parameter.",
     Fault.FIELD_REFUSED),
    (400, "invalid_request_error",
     ("max_tokens: 90000 > 64000, which is the maximum allowed number of output tokens for "
     "claude-x-9"), Fault.UNSUPPORTED),
    (400, "invalid_request_error",
     "messages.1.content.0: Invalid `signature` in `thinking` block", Fault.FIELD_REFUSED),
    (400, "invalid_request_error", "messages: text content blocks must be non-empty",
     Fault.REJECTED),
    (400, "invalid_request_error",
     "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: t1",
     Fault.REJECTED),
    (400, "invalid_request_error", "Output blocked by content filtering policy", Fault.DECLINED),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind", "words", "fault"), ERRORS)
def test_each_error_is_judged_by_what_it_is_about(
    status: int, kind: str, words: str, fault: Fault
) -> None:
    error = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_1"}
    body = json.dumps(error).encode()
    found = judge(status, "application/json", {}, body, exo=False, now_wall=0.0)
    assert found is not None
    assert found.fault is fault
