"""The faults that other translators shipped, and the tests that show that this one has them not.

A row is a fault, its words as they were told of others, and where it is tested: most tests stand
with what they test, and say in their docstring of which row they are.
"""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from exo_supervisor.wire.anthropic.inbound import read_messages
from exo_supervisor.wire.anthropic.outbound import encode as encode_messages
from exo_supervisor.wire.chat.request import Ask
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.outbound import encode_chat

ROOT: Final = Path(__file__).parent.parent
PLACES: Final = {
    "messages in": "wire/anthropic/test_inbound.py",
    "messages out": "wire/anthropic/test_outbound.py",
    "messages read": "wire/anthropic/test_reader.py",
    "messages written": "wire/anthropic/test_stream_writer.py",
    "responses in": "wire/responses/test_inbound.py",
    "responses written": "wire/responses/test_writer.py",
    "pairs": "wire/test_pairs.py",
    "table": "wire/test_table.py",
    "spare": "wire/chat/test_spare.py",
    "tiers": "core/test_neutral.py",
    "here": "wire/test_translators.py",
    "anthropic": "app/test_anthropic_target.py",
    "messages": "app/clients/test_messages.py",
    "responses": "app/clients/test_responses.py",
}
ROWS: Final[dict[int, tuple[str, ...]]] = {
    1: (
        "role `system` inside messages refused",
        "messages in::test_a_system_message_in_mid_conversation_is_taken_in_its_place",
        "responses in::test_items_are_messages_each_in_its_place",
    ),
    2: (
        "hoisting that system text to the front kills the prefix",
        "messages in::test_a_system_message_in_mid_conversation_is_not_moved_to_the_front_for_exo",
        "messages in::test_the_prompt_of_each_turn_begins_with_that_of_the_turn_before",
        "messages out::test_a_system_message_in_between_is_not_hoisted",
        "responses in::test_items_are_messages_each_in_its_place",
        "responses in::test_a_turn_more_leaves_the_prompt_before_it_as_it_was",
    ),
    3: (
        "attribution block changes each request",
        "messages in::test_the_attribution_block_that_differs_each_time_is_taken_out",
        "messages in::test_the_prompt_of_each_turn_begins_with_that_of_the_turn_before",
    ),
    4: (
        "JSON keys of tool arguments or schema reordered",
        "messages in::test_the_prompt_of_each_turn_begins_with_that_of_the_turn_before",
        "messages in::test_keys_of_arguments_and_schemas_keep_the_order_of_the_client",
        "messages out::test_keys_of_arguments_keep_their_order",
        "responses in::test_tools_are_functions_with_their_keys_in_order",
        "responses in::test_a_turn_more_leaves_the_prompt_before_it_as_it_was",
    ),
    5: (
        "tool arguments never streamed, or dropped",
        "messages::test_tools_pass_both_ways_with_their_arguments_streamed",
        "responses::test_tools_pass_both_ways_with_their_arguments_streamed",
        "messages written::test_arguments_of_a_call_are_streamed",
        "responses written::test_arguments_of_a_call_are_streamed",
    ),
    6: (
        "empty `tool_calls: []` taken for a tool call: the text vanishes",
        "messages written::test_an_empty_list_of_calls_is_no_call",
        "responses written::test_an_empty_list_of_calls_is_no_call_and_a_call_alone_has_no_message",
    ),
    7: (
        "stop_reason end_turn instead of tool_use; empty leading text block",
        "messages::test_tools_pass_both_ways_with_their_arguments_streamed",
        "messages written::test_a_call_alone_has_no_empty_text_before_it_and_ends_with_tool_use",
        "responses written::test_an_empty_list_of_calls_is_no_call_and_a_call_alone_has_no_message",
    ),
    8: (
        "content_block_start before message_start when the first chunk is a tool call",
        "messages read::test_an_upstream_that_breaks_the_grammar_has_lost_a_piece",
        "messages written::test_a_first_chunk_that_is_a_call_comes_after_the_message_has_begun",
    ),
    9: (
        "thinking or text block not closed before the next block",
        "messages read::test_an_upstream_that_breaks_the_grammar_has_lost_a_piece",
        "messages written::test_a_block_is_closed_before_the_next_one_begins",
        "responses written::test_a_thought_is_an_item_of_its_own_before_the_words",
    ),
    10: (
        "thinking and content in one upstream chunk",
        "messages written::test_thought_and_content_in_one_chunk_are_two_blocks",
        "responses written::test_a_thought_is_an_item_of_its_own_before_the_words",
    ),
    11: (
        "thinking signature of another provider: 400; retry once, stripped, only on that error",
        "spare::test_thoughts_that_another_signed_are_left_out_of_every_turn",
        "tiers::test_thoughts_that_another_signed_are_left_out_for_their_own_request_and_target_alone",
    ),
    12: (
        "`encrypted_content` sent to another key or org",
        "responses in::test_a_thought_never_becomes_what_was_said",
    ),
    13: (
        "cached tokens counted twice",
        "messages read::test_usage_counts_the_cache_once_and_keeps_what_was_told_first",
        "messages written::test_tokens_from_a_cache_are_counted_once",
        "responses written::test_usage_has_every_detail_that_codex_reads",
    ),
    14: (
        "truncated chat stream reported `response.completed`",
        "messages::test_a_stream_that_breaks_raises_and_never_ends_in_message_stop",
        "responses::test_a_stream_that_breaks_never_ends_in_completed",
        "messages read::test_an_upstream_that_breaks_the_grammar_has_lost_a_piece",
        "messages read::test_an_answer_that_breaks_off_is_never_whole",
        "messages written::test_a_truncated_answer_never_ends_in_message_stop",
        "responses written::test_a_call_that_was_cut_off_is_never_done",
        "responses written::test_a_stream_that_is_cut_never_ends_in_completed",
        "pairs::test_arguments_that_stop_in_the_middle_are_no_whole_call",
    ),
    15: (
        "missing response.completed, reasoning_tokens, sequence",
        "responses::test_tools_pass_both_ways_with_their_arguments_streamed",
        "responses::test_a_client_that_waits_sees_numbered_events_and_a_failover_counts_on",
        "responses written::test_usage_has_every_detail_that_codex_reads",
        "responses written::test_keepalives_are_numbered_with_the_events",
    ),
    16: (
        "cache_control, anthropic-beta, unknown fields forwarded to strict OpenAI servers",
        "messages in::test_thoughts_go_to_exo_and_not_to_a_strict_cloud",
        "messages in::test_marks_of_the_cache_and_fields_of_the_books_are_not_sent_to_others",
        "here::test_row_16_headers_of_a_client_go_to_its_own_dialect_alone",
    ),
    17: (
        "tool_choice, parallel_tool_calls left when tools is empty; schema `type: null`",
        "messages in::test_nothing_of_tools_is_left_where_there_are_none",
        "messages in::test_a_schema_without_a_type_gets_the_one_that_it_means",
        "messages out::test_tools_are_carried_and_nothing_of_them_without_any",
        "responses in::test_without_tools_nothing_is_said_of_their_choice",
    ),
    18: (
        "server tools crash the tool mapper; pause_turn rewritten to end_turn",
        "anthropic::test_a_server_s_tool_goes_to_who_has_it_past_a_healthy_exo",
        "messages in::test_what_only_anthropic_can_do_is_a_demand_by_its_name",
        "messages in::test_blocks_that_only_anthropic_can_read_are_demands",
        "messages read::test_each_reason_to_stop_has_its_word",
        "messages read::test_a_pause_stays_one_for_a_client_that_can_let_it_go_on",
        "responses in::test_what_no_chat_can_say_is_refused_by_name",
    ),
    19: (
        "tool_use without tool_result next to it; parallel calls merged; same-role turns in a row",
        "messages in::test_calls_and_results_stay_next_to_each_other",
        "messages in::test_turns_of_one_role_in_a_row_are_one_message",
        "messages out::test_results_stand_next_to_their_calls_in_one_turn",
        "messages written::test_calls_that_come_interleaved_are_kept_apart_and_in_order",
        "responses in::test_items_of_one_role_in_a_row_are_one_message",
        "responses in::test_calls_and_their_outputs_stand_next_to_each_other",
        "responses written::test_calls_that_come_interleaved_are_told_each_as_its_own_in_order",
    ),
    20: (
        "images and documents in tool results stringified or dropped",
        "responses::test_tools_pass_both_ways_with_their_arguments_streamed",
        "messages in::test_images_in_a_tool_result_are_shown_beside_it",
        "messages in::test_blocks_that_only_anthropic_can_read_are_demands",
        "responses in::test_images_in_an_output_are_kept",
    ),
    21: (
        "zstd body parsed as JSON",
        "responses::test_a_body_in_zstd_is_read_as_codex_sends_it",
    ),
    22: (
        "max_tokens and max_completion_tokens; `stop` text and list; length beaten by tool_calls",
        "here::test_row_22_a_limit_has_one_name_at_each_target",
        "here::test_row_22_stop_is_a_list_to_messages_however_it_was_said",
        "pairs::test_an_answer_that_ran_into_its_limit_may_end_within_a_call",
    ),
    23: (
        "stream:false answered with SSE, or the reverse; content type wrong",
        "table::test_each_dialect_is_asked_and_read_for_each_client",
    ),
    24: (
        "upstream error inside a 200, or in mid-stream, swallowed",
        "messages::test_a_stream_that_breaks_raises_and_never_ends_in_message_stop",
        "responses::test_a_stream_that_breaks_never_ends_in_completed",
        "messages read::test_an_error_event_is_judged_by_its_type",
        "messages written::test_an_error_in_the_stream_is_no_end_of_a_message",
        "responses written::test_a_stream_that_is_cut_never_ends_in_completed",
    ),
    25: (
        "count_tokens 404 treated as model-not-found",
        "messages::test_tokens_are_counted_though_nobody_could_serve_the_request",
    ),
    26: (
        "empty text blocks refused by Anthropic; refusal is content_filter",
        "messages in::test_empty_texts_are_left_out",
        "messages out::test_empty_texts_are_left_out",
        "messages read::test_each_reason_to_stop_has_its_word",
        "messages written::test_a_refusal_is_told_as_one",
    ),
}

HI: Final = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_tests_that_are_there_and_say_so(row: int) -> None:
    _, *tests = ROWS[row]
    assert tests
    for each in tests:
        place, name = each.split("::")
        _, is_there, after = (ROOT / PLACES[place]).read_text().partition(f"def {name}(")
        said = after.partition('"""')[2].partition('"""')[0]
        assert is_there, each
        assert re.match(rf"Rows? [\d, and]*\b{row}\b", said), each


def test_all_rows_are_there() -> None:
    assert list(ROWS) == list(range(1, 27))


def chat(**more: object) -> bytes:
    return json.dumps({"model": "m", "messages": HI, **more}).encode()


def test_row_16_headers_of_a_client_go_to_its_own_dialect_alone() -> None:
    """Row 16: anthropic-beta is kept beside the request, and is no part of what others are sent."""
    request = read_messages(chat(max_tokens=9), {"anthropic-beta": "effort-1", "x-api-key": "k"})
    assert request.headers == (("anthropic-beta", "effort-1"),)
    assert b"effort" not in encode_chat(request, Ask("m"))


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_row_22_a_limit_has_one_name_at_each_target(name: str) -> None:
    """Row 22: to Messages it is max_tokens, whichever the client said."""
    sent = json.loads(encode_messages(read_chat(chat(**{name: 9})), Ask("m")))
    assert (sent["max_tokens"], "max_completion_tokens" in sent) == (9, False)


@pytest.mark.parametrize("stop", ["END", ["END"]])
def test_row_22_stop_is_a_list_to_messages_however_it_was_said(stop: object) -> None:
    """Row 22."""
    sent = json.loads(encode_messages(read_chat(chat(stop=stop)), Ask("m")))
    assert (sent["stop_sequences"], "stop" in sent) == (["END"], False)
