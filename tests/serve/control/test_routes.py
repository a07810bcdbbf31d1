"""What can be asked beside chats, and each wrong way to ask it: no socket, and no real time."""

import os
import re
import time
from datetime import datetime
from socket import gethostname

import anyio
import pytest
from structlog.testing import capture_logs

from exo_supervisor import __version__
from exo_supervisor.core.events import BreakerForced, ModelOrdered, NodesForgotten, NodeTrusted
from exo_supervisor.core.fleet.trust import MAX_PINS
from exo_supervisor.core.names import Address
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import ClientRule, Policy
from exo_supervisor.serve.control.plain import answer
from exo_supervisor.serve.profiles import TOKEN_MANAGER
from tests.core.story import CHAT, CLOUDS
from tests.serve.control.asked import House, about_it, request

NODES = Policy(clouds=CLOUDS, models=(CHAT,))


@pytest.fixture
def house() -> House:
    return House(NODES, "a:1", "b:1")


LOOKS = {
    "/": "name",
    "/health": "device_name",
    "/healthz": "status",
    "/readyz": "ready",
    "/supervisor/status": "uptime",
    "/supervisor/config": "server",
    "/supervisor/nodes": "nodes",
    "/supervisor/models": "models",
    "/supervisor/breakers": "breakers",
    "/supervisor/requests": "requests",
    "/supervisor/requests?last=1000": "ended",
    "/supervisor/shifts": "trips",
    "/supervisor/clients": "clients",
    "/supervisor/egress": "days",
    "/v1/models": "data",
    "/v1/models/chat": "owned_by",
    "/supervisor/models/chat": "model",
    "/supervisor/models/m": "model",
    "/api/tags": "models",
    "/api/ps": "models",
    "/api/version": "version",
    "/ollama/api/tags": "models",
}


@pytest.mark.parametrize("path", LOOKS)
async def test_each_look_answers_get_and_head_alike_and_nothing_else(
    path: str, house: House
) -> None:
    for method in ("GET", "HEAD"):
        said = await house.ask(method, path)
        assert said.status == 200
        assert LOOKS[path] in said.body
        assert said.headers["content-type"] == "application/json"
    said = await house.post(path)
    assert said.status == 405
    assert said.headers["allow"] == "GET"
    assert not house.events


OPEN = "/supervisor/breakers/TARGET/open|close|auto"
TOLD = "no such route; there are /v1/chat/completions, /v1/models, /"
# method, path, status, code, words
WRONG = [
    ("GET", "/v1/chat/completions", 405, "method_not_allowed", "/v1/chat/completions takes POST"),
    ("POST", "/v1/models/x", 405, "method_not_allowed", "/v1/models/{id} takes GET"),
    ("POST", "/v1/models", 405, "method_not_allowed", "/v1/models takes GET"),
    ("POST", "/metrics", 405, "method_not_allowed", "/metrics takes GET"),
    ("GET", "/supervisor/breakers/a:1/open", 405, "method_not_allowed", f"{OPEN} takes POST"),
    ("GET", "/supervisor/nodes/a:1/trust", 405, "method_not_allowed", "ADDRESS/trust|untrust"),
    ("GET", "/supervisor/nodes/forget", 405, "method_not_allowed", "nodes/forget takes POST"),
    ("POST", "/supervisor/models/chat", 405, "method_not_allowed", "models/NAME takes GET"),
    ("GET", "/supervisor/models/chat/place", 405, "method_not_allowed", "NAME/place and /remove"),
    ("GET", "/api/show", 405, "method_not_allowed", "/api/show takes POST"),
    ("GET", "/nowhere", 404, "route_not_found", TOLD),
    ("GET", "/v1/modelz", 404, "route_not_found", TOLD),
    ("GET", "/api/nope", 404, "route_not_found", "/api/ps"),
    ("POST", "/api/pull", 404, "route_not_found", "there is no pull: Exo downloads"),
    ("POST", "/api/blobs/sha256:1", 404, "route_not_found", "there is no blobs"),
    ("GET", "/supervisor/stats", 404, "route_not_found", "there are /supervisor/status, /sup"),
    ("POST", "/supervisor/breakers/open", 404, "route_not_found", "TARGET/open, /close or /auto"),
    ("POST", "/supervisor/breakers/a:1/x", 404, "route_not_found", "TARGET/open, /close or /auto"),
    (
        "POST",
        "/supervisor/breakers/a:2/open",
        404,
        "target_not_found",
        "no such target; there are a:1",
    ),
    ("POST", "/supervisor/breakers/nobody/auto", 404, "target_not_found", "are p, q, a:1, b:1"),
    ("POST", "/supervisor/breakers/a:1/open?model=z", 404, "model_not_found", "a:1 has no such mo"),
    ("POST", "/supervisor/breakers/a:1/open?model=x", 404, "model_not_found", "a:1 has no such mo"),
    ("POST", "/supervisor/nodes/a:1/x", 404, "route_not_found", "nodes/ADDRESS/trust or /untrust"),
    ("POST", "/supervisor/nodes/a:2/trust", 404, "target_not_found", "node; similar: a:1"),
    ("POST", "/supervisor/models/nope/place", 404, "model_not_found", "Exo has no such model"),
    ("POST", "/supervisor/models/x/place", 404, "model_not_found", "only a cloud has this model"),
    ("GET", "/supervisor/models/chatt", 404, "model_not_found", "similar: chat"),
    ("GET", "/v1/models/chatt", 404, "model_not_found", "are known; similar: chat"),
]


@pytest.mark.parametrize(("method", "path", "status", "code", "words"), WRONG)
async def test_what_is_asked_wrongly_has_its_own_error_and_changes_nothing(
    method: str, path: str, status: int, code: str, words: str, house: House
) -> None:
    said = await house.ask(method, path)
    text = said.body["error"]
    found = text if isinstance(text, str) else text["message"]  # Ollama's clients read a text
    assert said.status == status
    assert (said.body if isinstance(text, str) else text)["code"] == code
    assert words in found
    assert not house.events
    if status == 405:
        assert said.headers["allow"] == ("POST" if "takes POST" in found else "GET")


async def test_what_was_found_wrong_before_is_told_and_nothing_is_looked_up(house: House) -> None:
    wrong = Refusal(401, "bad_token", "no")
    said = await answer(house.routes.look, request("POST", "/supervisor/nodes/a:1/trust"), wrong)
    assert said.status == 401
    assert not house.events


async def test_the_first_page_names_every_route_but_itself(house: House) -> None:
    who = (await house.get("/")).body
    assert (who["name"], who["version"]) == ("exo-supervisor", __version__)
    assert who["routes"][:3] == ["/v1/chat/completions", "/v1/models", "/health"]
    assert {"/metrics", "/api/tags", "/api/show", "/supervisor/egress"} <= set(who["routes"])
    assert "/" not in who["routes"]


async def test_health_is_told_as_a_node_of_exo_tells_it(house: House) -> None:
    told = (await house.get("/health")).body
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    assert told == {
        "status": "ok", "device_name": gethostname(), "memory_gb": pytest.approx(memory, abs=0.06),
    }  # fmt: skip
    assert len(str(told["memory_gb"]).partition(".")[2]) == 1


async def test_it_is_ready_once_it_looked_and_something_can_serve() -> None:
    assert (await House(Policy(models=(CHAT,))).get("/readyz")).status == 503
    ready = await House(Policy(models=(CHAT,)), "a:1").get("/readyz")
    assert (ready.status, ready.body) == (200, {"ready": True})
    fresh = House(Policy(seeds=((Address("a:1"), "http://a:1"),)))
    said = await fresh.get("/readyz")
    assert (said.status, said.body) == (503, {"ready": False})


async def test_metrics_come_in_the_format_that_their_reader_accepts() -> None:
    async def metrics(accept: str) -> tuple[bytes, str]:
        return b'{"accept":"%b"}' % accept.encode(), "text/x"

    house = House(NODES, about=about_it(metrics=metrics))
    for headers, accept in (({"accept": "application/openmetrics-text"},) * 2, ({}, ({}))):
        said = await house.ask("GET", "/metrics", headers=headers)
        assert said.status == 200
        assert said.headers["content-type"] == "text/x"
        assert said.body["accept"] == (headers.get("accept", "") if accept else "")
    assert (await house.ask("HEAD", "/metrics")).status == 200


async def test_status_tells_where_we_stand_and_where_clients_come_in() -> None:
    about = about_it(sockets=("/run/s",), config="/etc/c", quiet=lambda: ["mdns: no"])
    told = (await House(NODES, "a:1", about=about).get("/supervisor/status")).body
    assert (told["sockets"], told["config"], told["quiet"]) == (["/run/s"], "/etc/c", ["mdns: no"])
    assert (told["version"], told["ready"]) == (__version__, True)


async def test_the_time_of_an_instant_is_rfc_3339_in_utc(house: House) -> None:
    before = time.time()
    await house.post("/supervisor/breakers/a:1/open")
    [row, *_] = (await house.get("/supervisor/breakers")).body["breakers"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["since"])
    since = datetime.fromisoformat(row["since"]).timestamp() - house.story.now
    assert before - 0.001 <= since <= time.time()


async def test_a_breaker_is_held_and_let_go_and_what_changed_is_told(house: House) -> None:
    for verb, was, changed, state, forced in (
        ("auto", "closed", False, "closed", False),
        ("close", "closed", True, "closed", True),
        ("open", "closed", True, "open", True),
        ("open", "open", False, "open", True),
        ("auto", "open", True, "closed", False),
    ):
        said = (await house.post(f"/supervisor/breakers/a%3A1/{verb}")).body
        row = said["breaker"]
        assert (said["was"], said["changed"]) == (was, changed), verb
        assert (row["target"], row["model"]) == ("a:1", None)
        assert (row["state"], row["forced"]) == (state, forced)


@pytest.mark.parametrize(
    ("target", "name", "model"), [("a:1", "chat", "m"), ("a:1", "m", "m"), ("p", "chat", "x")]
)
async def test_a_model_is_named_as_clients_do_or_as_its_target_does(
    target: str, name: str, model: str, house: House
) -> None:
    path = f"/supervisor/breakers/{target}/open?model="
    said = (await house.post(path + name)).body
    assert (said["breaker"]["target"], said["breaker"]["model"]) == (target, model)
    assert (await house.post(path + model)).body["changed"] is False, "it has a cell of its own"
    assert house.events[0] == BreakerForced(target=target, model=model, forced="open")  # pyright: ignore[reportArgumentType]


async def test_no_more_targets_are_named_than_can_be_read() -> None:
    house = House(NODES, *(f"a{n}:1" for n in range(9)))
    told = (await house.post("/supervisor/breakers/zzzzzzzz/open")).error[2]
    assert told.endswith("there are p, q, a0:1, a1:1, a2:1")
    nobody = (await House(Policy()).post("/supervisor/breakers/zz/open")).error[2]
    assert nobody.endswith("there are none")


async def test_a_word_on_a_node_or_on_all_is_taken(house: House) -> None:
    async def says(path: str) -> tuple[list[str], list[str]]:
        said = (await house.post(f"/supervisor/nodes{path}")).body
        return said["changed"], [row["trust"] for row in said["nodes"]]

    assert await says("/a%3A1/trust") == (["a:1"], ["pinned", "found"])
    assert await says("/a:1/trust") == ([], ["pinned", "found"])
    assert await says("/trust") == (["b:1"], ["pinned", "pinned"])
    assert await says("/b:1/untrust") == (["b:1"], ["pinned", "found"])
    assert await says("/untrust") == (["a:1"], ["found", "found"])
    assert house.events[0] == NodeTrusted(node=Address("a:1"), trusted=True)


async def test_whether_a_word_on_a_node_is_kept_is_said_once_it_is_known() -> None:
    in_file, why = list[str](), list[str]()

    async def kept() -> str | None:
        await anyio.sleep(1.0)  # as the file's writing takes
        in_file.extend(house.story.machine.tables.registry.trust.pins)
        return why[0] if why else None

    house = House(NODES, "a:1", about=about_it(pins_kept=kept))
    said = (await house.post("/supervisor/nodes/a:1/trust")).body
    assert (said["kept"], in_file) == (True, ["a:1"])
    assert "why" not in said
    why.append("no space left on device")
    said = await house.post("/supervisor/nodes/a:1/untrust")
    assert (said.status, said.body["changed"]) == (200, ["a:1"]), "it is so all the same"
    assert (said.body["kept"], said.body["why"]) == (False, why[0])


async def test_who_was_named_by_a_person_needs_no_pin() -> None:
    house = House(NODES, "a:1")
    house.story.up("b:1", seeded=True)
    assert (await house.post("/supervisor/nodes/trust")).body["changed"] == ["a:1"]
    many = House(NODES, *(f"abc{n}:1" for n in range(5)))
    assert (await many.post("/supervisor/nodes/abc:1/trust")).error[2].count("abc") == 3


async def test_a_pin_outlives_its_node_and_is_taken_back_by_its_address(house: House) -> None:
    await house.post("/supervisor/nodes/a:1/trust")
    del house.story.machine.tables.registry.nodes[Address("a:1")]
    assert (await house.post("/supervisor/nodes/a:1/untrust")).body["changed"] == ["a:1"]


async def test_who_finds_no_place_among_the_pins_is_told(house: House) -> None:
    pins = house.story.machine.tables.registry.trust.pins
    pins |= {Address(f"10.0.{n // 250}.{n % 250}:1"): None for n in range(MAX_PINS)}
    status, code, words = (await house.post("/supervisor/nodes/a:1/trust")).error
    assert (status, code) == (503, "overloaded")
    assert words == (
        f"no more than {MAX_PINS} nodes can be pinned: untrust one, or name it in discovery.static"
    )


async def test_nodes_that_are_not_up_are_forgotten_and_so_is_what_is_kept_of_them() -> None:
    kept = ["of an earlier run"]
    house = House(NODES, "a:1", "b:1", about=about_it(forget=kept.clear))
    house.story.down("b:1")
    assert (await house.post("/supervisor/nodes/forget")).body == {"forgotten": ["b:1"]}
    assert house.events == [NodesForgotten()]
    assert not kept


async def test_an_order_for_a_model_is_given_and_the_model_shown(house: House) -> None:
    for order in ("place", "remove"):
        said = await house.post(f"/supervisor/models/chat/{order}")
        assert (said.status, said.body["model"]["id"]) == (200, "chat")
        assert house.events.pop() == ModelOrdered(models=("m",), order=order)  # pyright: ignore[reportArgumentType]


async def test_the_line_of_an_order_names_what_the_house_knows_and_nothing_else(
    house: House,
) -> None:
    orders = {
        "breakers/a:1/open": "breaker a:1 open", "breakers/p/auto": "breaker p auto",
        "breakers/sk-1/open": "breaker (unknown) open", "nodes/b:1/trust": "trust b:1",
        "nodes/trust": "trust all", "nodes/sk-1/untrust": "untrust (unknown)",
        "nodes/forget": "forget nodes", "models/chat/place": "place chat",
        "models/sk-1/remove": "remove (unknown)",
    }  # fmt: skip
    with capture_logs() as lines:
        for path in orders:
            await house.post(f"/supervisor/{path}")
    assert [line["order"] for line in lines] == list(orders.values())


async def test_a_client_sees_its_own_models_and_the_manager_no_codex(house: House) -> None:
    kids = ClientRule("kids", models=("chat",))
    assert [each["id"] for each in (await house.get("/v1/models", kids)).body["data"]] == ["chat"]
    assert (await house.get("/v1/models/m", kids)).error[:2] == (403, "not_allowed")
    assert (await house.get("/v1/models/chat", kids)).status == 200
    told = (await house.get("/v1/models/mm", kids)).error
    assert told[:2] == (403, "not_allowed")
    for path in ("/api/tags", "/api/ps"):
        assert [each["name"] for each in (await house.get(path, kids)).body["models"]] == ["chat"]
    assert "models" in (await house.get("/v1/models", kids)).body
    manager = ClientRule("manager", profile=TOKEN_MANAGER)
    assert "models" not in (await house.get("/v1/models", manager)).body


async def test_names_that_are_near_are_only_those_that_a_client_may_ask_for() -> None:
    house = House(NODES, "a:1")
    house.story.cards("a:1", "org/chatty")
    assert "chat" in (await house.get("/v1/models/chatt")).error[2]
    assert "Exo could place: org/chatty" in (await house.get("/v1/models/chatty1")).error[2]
    wide = ClientRule("kids", models=("chatty*", "m"))
    assert (await house.get("/v1/models/chatt", wide)).error[1] == "not_allowed"
    near = (await house.get("/v1/models/chattyy", wide)).error
    assert near[1] == "model_not_found"
    assert "similar" not in near[2]


async def test_a_model_is_shown_to_ollamas_clients_or_said_why_not(house: House) -> None:
    async def show(body: bytes | None, client: ClientRule | None = None) -> tuple[int, str]:
        more = {} if client is None else {"client": client}
        said = await house.ask("POST", "/api/show", body=body, **more)
        return said.status, said.body.get("code", "shown")

    assert await show(b'{"model":"chat"}') == (200, "shown")
    assert await show(b'{"model":"nope"}') == (404, "model_not_found")
    assert await show(b'{"model":"m"}', ClientRule("kids", models=("chat",))) == (
        403,
        "not_allowed",
    )
    assert await show(b"x" * 2_000_000) == (413, "body_too_large")
    assert await show(None) == (400, "bad_http"), "it waits for a body, but not for ever"


async def test_the_running_ones_are_sorted_and_ready() -> None:
    house = House(Policy(models=(CHAT,)), "a:1")
    house.story.read("a:1", "m", "b", "z", loading="l")
    assert [each["name"] for each in (await house.get("/api/ps")).body["models"]] == sorted(
        ["b", "chat", "z"]
    )
