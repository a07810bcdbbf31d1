"""What only one dialect can say is asked of those alone who speak it."""

from msgspec import structs

from exo_supervisor.core.policy import Policy
from tests.core.story import BOTH, LOCAL, Story, refusal, told


def speaking(policy: Policy, **dialects: str) -> Policy:
    clouds = (
        structs.replace(cloud, dialect=dialects.get(cloud.name, "openai"))
        for cloud in policy.clouds
    )
    return structs.replace(policy, clouds=tuple(clouds))


def test_such_a_request_passes_exo_and_providers_of_other_dialects() -> None:
    story = Story(speaking(BOTH, q="anthropic"), "a:1")
    assert told(story.ask("r", native=("thinking",))) == ["start q x /unsupported_field"]
    assert told(story.ask("s")) == ["start a:1 m"]


def test_where_nobody_speaks_it_the_client_is_told_which_field_it_was() -> None:
    for policy in (LOCAL, BOTH):
        story = Story(policy, "a:1")
        refused = refusal(story.ask("r", native=("tools[].type=web_search",)))
        assert (refused.status, refused.code) == (400, "unsupported_field")
        assert "tools[].type=web_search" in refused.message
        assert story.idle()


def test_a_provider_is_not_asked_for_what_it_ignores() -> None:
    clouds = tuple(structs.replace(each, ignored=frozenset({"n"})) for each in BOTH.clouds[:1])
    policy = structs.replace(BOTH, clouds=(*clouds, *BOTH.clouds[1:]))
    story = Story(policy, "a:1")
    assert told(story.ask("r", demands=("n",), route="cloud")) == ["start q x /route"]
