"""What `status`, `nodes`, `models` and `breaker` print of the service's answers."""

import json
import re
import time
from datetime import UTC, datetime

import pytest

from exo_supervisor.cli import main
from tests.cli.conftest import Service, whole

pytestmark = pytest.mark.real_time
Out = pytest.CaptureFixture[str]

READY = {
    "version": "0.1.0",
    "uptime": 3 * 86400 + 4 * 3600 + 120.5,
    "ready": True,
    "summary": "Exo serves, cloud stands by",
    "config": "/etc/exo-supervisor/supervisor.toml",
    "advice": ["192.168.1.7:52415 is only seen: exo-supervisor nodes says why"],
    "looked": ["127.0.0.1:52415"],
    "nodes": {"seen": 1, "reachable": 0, "identified": 0, "clustered": 0, "placed": 1, "ready": 2},
    "providers": [
        {"name": "openrouter", "state": "ready", "why": None},
        {"name": "anthropic", "state": "off", "why": "ANTHROPIC_API_KEY is not set"},
    ],
    "requests": {
        "now": 2,
        "total": 1284,
        "exo": 1240,
        "cloud": 41,
        "refused": 2,
        "failed": 1,
    },
    "not_yet": ["multicast"],
}
NOT_READY = {
    "version": "0.1.0",
    "uptime": 12.2,
    "ready": False,
    "summary": "no Exo node found, no provider is configured",
    "config": None,
    "advice": ["start Exo here", "or watch it work without: exo-supervisor demo"],
    "looked": ["127.0.0.1:52415 connection refused", "broadcast heard nothing"],
    "nodes": {},
    "providers": [],
    "requests": {"now": 0, "total": 0, "exo": 0, "cloud": 0, "refused": 0, "failed": 0},
    "not_yet": [],
}


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat().replace("+00:00", "Z")


def test_status_says_first_that_it_serves_and_last_what_to_do(
    service: Service, capsys: Out
) -> None:
    service.says("GET /supervisor/status", READY)
    assert service.main("status") == 0
    assert capsys.readouterr().out == (
        "ready     Exo serves, cloud stands by                        0.1.0, up 3 d 4 h\n"
        "nodes     2 ready, 1 placed, 1 seen\n"
        "requests  2 now; since start 1284: Exo 1240, cloud 41, refused 2, failed 1\n"
        "cloud     openrouter ready; anthropic off, ANTHROPIC_API_KEY is not set\n"
        "not yet   multicast\n"
        "advice    1 192.168.1.7:52415 is only seen: exo-supervisor nodes says why\n"
    )


def test_not_ready_is_no_failure_and_says_where_it_looked(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/status", NOT_READY)
    assert service.main("status") == 0
    assert capsys.readouterr().out == (
        "not ready  no Exo node found, no provider is configured         0.1.0, up 12 s\n"
        "looked     127.0.0.1:52415 connection refused; broadcast heard nothing\n"
        "advice     1 start Exo here\n"
        "           2 or watch it work without: exo-supervisor demo\n"
    )


def test_status_tells_what_failed_last_what_is_held_and_who_is_down(
    service: Service, capsys: Out
) -> None:
    held = breaker("192.168.1.6:52415", "m", "open", forced=True, reason="operator")
    failed = {"at": ago(8.5), "why": "m (openrouter: server_error)"}
    nodes = {"seen": 2, "ready": 1}
    body = {**READY, "last_failed": failed, "held": [held], "nodes": nodes, "down": 1}
    service.says("GET /supervisor/status", {**body, "advice": [], "not_yet": []})
    assert service.main("status") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "nodes     1 ready, 1 seen, 1 down",
        "requests  2 now; since start 1284: Exo 1240, cloud 41, refused 2, failed 1",
        "failed    8 s ago: m (openrouter: server_error)",
        "cloud     openrouter ready; anthropic off, ANTHROPIC_API_KEY is not set",
        "held      192.168.1.6:52415 m open by the operator; let it go with",
        "          exo-supervisor breaker 192.168.1.6:52415 auto --model m",
    ]


def test_where_it_looked_is_told_wherever_no_node_answers(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/status", {**READY, "nodes": {"seen": 1}})
    service.main("status")
    assert "looked    127.0.0.1:52415\n" in capsys.readouterr().out


LONG = "mlx-community/Qwen3-Coder-480B-A35B-Instruct-4bit"
FAR = "100.100.100.100:52415"


def test_no_line_is_longer_than_a_screen(service: Service, capsys: Out) -> None:
    """Ids are never cut, and addresses and names as long as they come still fit."""
    no = {"target": "openrouter", "ready": False, "why": f"openrouter does not list {LONG[:40]}"}
    where = [{"target": FAR, "ready": True}, no]
    service.says("GET /supervisor/models", {"models": [{"id": LONG, "state": "x", "where": where}]})
    opened = {"since": ago(12.5), "until": ago(-8.5), "reason": "trip_after"}
    listed = [breaker(FAR, LONG, "half_open", **opened), breaker(FAR, None, "open", **opened)]
    service.says("GET /supervisor/breakers", {"breakers": listed})
    state: dict[str, object] = {"rung": "identified", "breaker": {"state": "half_open"}}
    node: dict[str, object] = {"id": FAR, "cluster": FAR, "generation": "C", **state}
    service.says("GET /supervisor/nodes", {"nodes": [{**node, "why": "word " * 40}]})
    long = {**READY, "advice": ["word " * 40], "summary": "word " * 14, "looked": [f"{FAR} x"] * 9}
    service.says("GET /supervisor/status", {**long, "nodes": {}})
    for verb in ("models", "breaker", "nodes", "status"):
        assert service.main(verb) == 0
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= 80, out
        assert verb == "status" or FAR in out
        assert verb not in ("models", "breaker") or LONG in out


def test_a_table_too_wide_gives_its_longest_column_lines_of_their_own(
    service: Service, capsys: Out
) -> None:
    where = [{"target": FAR, "ready": True}, {"target": "openrouter", "ready": False}]
    rows = [{"id": LONG, "state": "ready", "where": where}, {"id": "b", "state": "down"}]
    service.says("GET /supervisor/models", {"models": rows})
    service.main("models")
    assert capsys.readouterr().out.splitlines() == [
        "ID",
        "  STATE  TARGET                 READY",
        LONG,
        f"  ready  {FAR}  yes",
        "         openrouter             no",
        "b",
        "  down   -                      -",
    ]


def test_an_alias_and_its_target_are_shown_as_one(service: Service, capsys: Out) -> None:
    where = [{"target": FAR, "ready": True}]
    alias = {"id": "chat", "state": "ready", "where": where}
    own = {"id": LONG, "state": "ready", "where": where, "alias_of": "chat"}
    service.says("GET /supervisor/models", {"models": [alias, own]})
    service.main("models")
    out = capsys.readouterr().out
    assert "chat" in out
    assert LONG not in out


def test_a_node_that_was_up_reads_down_and_since_when(service: Service, capsys: Out) -> None:
    why = "down since 4 s, was ready: the host is up, but nothing listens there"
    node = {"id": FAR, "rung": "seen", "was": "ready", "since": ago(4.5), "why": why}
    service.says("GET /supervisor/nodes", {"nodes": [{**node, "advice": "start Exo there"}]})
    service.main("nodes")
    _, row, head, told, try_it = capsys.readouterr().out.splitlines()
    assert row.split() == [FAR, "-", "-", "down", "-", "-"]
    assert (head, told) == (f"{FAR} is down", f"  why: {why}")
    assert try_it == "  try: start Exo there"


def test_a_token_stands_alone_and_what_to_do_with_it_beside_it(capsys: Out) -> None:
    assert main(["token"]) == 0
    first = capsys.readouterr()
    assert re.fullmatch(r"[\w-]{43}\n", first.out)
    assert "server.tcp" in first.err
    assert main(["token", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["token"] != first.out.strip()


def test_the_service_s_own_summary_is_used(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/status", {**READY, "summary": "Exo drains"})
    service.main("status")
    assert capsys.readouterr().out.startswith("ready     Exo drains  ")


def test_nodes_are_listed_and_a_stuck_one_explained(service: Service, capsys: Out) -> None:
    def node(host: str, rung: str, models: int, **more: object) -> dict[str, object]:
        listed = [{"id": f"m{at}", "ready": True} for at in range(models)]
        return {
            "id": f"192.168.1.{host}:52415",
            "generation": "C",
            "cluster": "192.168.1.5:52415",
            "rung": rung,
            "since": ago(3600),
            "why": None,
            "advice": None,
            "models": listed,
            "breaker": {"state": "closed", "reason": "none", "since": ago(9), "until": None},
            **more,
        }

    stuck = {
        "generation": None,
        "cluster": None,
        "since": ago(240.5),
        "why": "mDNS announces it, but TCP 52415 does not answer (timed out after 2 s)",
        "advice": "allow TCP 52415 in its firewall; if its Exo runs with another --api-port, "
        "add http://192.168.1.7:PORT to discovery.static",
        "breaker": None,
    }
    listed = [node("5", "ready", 2), node("9", "placed", 1), node("7", "seen", 0, **stuck)]
    service.says("GET /supervisor/nodes", {"nodes": listed})
    assert service.main("nodes") == 0
    assert capsys.readouterr().out == (
        "ID                 GENERATION  CLUSTER            RUNG    BREAKER  MODELS\n"
        "192.168.1.5:52415  C           192.168.1.5:52415  ready   closed   2\n"
        "192.168.1.9:52415  C           192.168.1.5:52415  placed  closed   1\n"
        "192.168.1.7:52415  -           -                  seen    -        -\n"
        '192.168.1.7:52415 stuck at "seen" for 4 min\n'
        "  why: mDNS announces it, but TCP 52415 does not answer (timed out after 2 s)\n"
        "  try: allow TCP 52415 in its firewall; if its Exo runs with another\n"
        "       --api-port, add http://192.168.1.7:PORT to discovery.static\n"
    )


def capable(host: str, **capacity: object) -> dict[str, object]:
    node: dict[str, object] = {"id": f"192.168.1.{host}:52415", "rung": "ready"}
    return {**node, "capacity": capacity or None}


def test_machines_are_listed_where_something_is_known_of_them(
    service: Service, capsys: Out
) -> None:
    known: dict[str, object] = {"memory_total": 64 << 30, "memory_available": 48 << 30}
    mac = {"gpu": 0.254, "cpu": 1, "temperature": 51.6, "power": 38.4, "chip": "Apple M3 Ultra"}
    service.says(
        "GET /supervisor/nodes",
        {
            "nodes": [
                capable("5", **known, **mac),
                capable("6", memory_total=24105 << 20, gpu=None),
                {**capable("7"), "why": "no model is placed"},
            ]
        },
    )
    assert service.main("nodes") == 0
    listed, machines, told = capsys.readouterr().out.split("\n\n")
    assert len(listed.splitlines()) == 4
    assert machines.splitlines() == [
        "ID                 FREE          GPU   CPU    TEMP  POWER  CHIP",
        "192.168.1.5:52415  48 of 64 GiB  25 %  100 %  52 C  38 W   Apple M3 Ultra",
        "192.168.1.6:52415  ? of 24 GiB   -     -      -     -      -",
    ]
    assert told.endswith("  why: no model is placed\n")


def test_columns_of_which_nothing_is_known_are_left_out(service: Service, capsys: Out) -> None:
    long = capable("5", memory_total=64 << 30, memory_available=1 << 29, chip="x" * 70)
    service.says("GET /supervisor/nodes", {"nodes": [long]})
    service.main("nodes")
    head, row = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert head.split() == ["ID", "FREE", "CHIP"]
    assert len(row) == 80
    assert "1 of 64 GiB" in row


def test_a_node_is_stuck_only_where_it_stood_for_long(service: Service, capsys: Out) -> None:
    node = {"id": FAR, "rung": "seen", "since": ago(3.5), "why": "nothing listens there"}
    service.says("GET /supervisor/nodes", {"nodes": [node]})
    service.main("nodes")
    assert f'{FAR} at "seen" for 3 s\n' in capsys.readouterr().out


def test_a_model_is_not_launched_at_a_node_that_does_not_answer(
    service: Service, capsys: Out
) -> None:
    service.says("GET /supervisor/models", {"models": []})
    nodes = [{"url": "http://127.0.0.1:52415", "rung": "seen"}]
    service.says("GET /supervisor/nodes", {"nodes": nodes})
    service.main("models")
    assert capsys.readouterr().out == "No model is known: exo-supervisor status says why\n"


def test_no_node_names_the_next_step(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/nodes", {"nodes": []})
    assert service.main("nodes") == 0
    assert "exo-supervisor status says where it looked" in capsys.readouterr().out


def test_models_are_listed_with_who_serves_them(service: Service, capsys: Out) -> None:
    exo = {"target": "192.168.1.5:52415", "model": "x", "ready": True, "why": None}
    loading = {
        "target": "192.168.1.9:52415",
        "ready": False,
        "why": None,
        "progress": "41 of 48 layers loaded",
    }
    body: dict[str, object] = {
        "models": [
            {
                "id": "llama-3.2-3b",
                "state": "ready",
                "where": [exo, {"target": "openrouter", "ready": True}],
            },
            {"id": "qwen3-30b", "state": "loading", "where": [loading]},
            {"id": "other", "state": "down", "where": []},
            {"id": "lost", "state": "down", "where": [], "why": "lost it 8 s ago"},
            {"id": "saved", "state": "cloud", "where": [exo], "why": "lost it 8 s ago"},
        ]
    }
    service.says("GET /supervisor/models", body)
    assert service.main("models") == 0
    assert capsys.readouterr().out == (
        "ID            STATE    TARGET             READY\n"
        "llama-3.2-3b  ready    192.168.1.5:52415  yes\n"
        "                       openrouter         yes\n"
        "qwen3-30b     loading  192.168.1.9:52415  no, 41 of 48 layers loaded\n"
        "other         down     -                  -\n"
        "lost          down     -                  no, lost it 8 s ago\n"
        "saved         cloud    -                  no, lost it 8 s ago\n"
        "                       192.168.1.5:52415  yes\n"
    )


def test_no_model_names_the_node_to_launch_one_at(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/models", {"models": []})
    service.says("GET /supervisor/nodes", {"nodes": [{"url": "http://192.168.1.5:52415"}]})
    assert service.main("models") == 0
    assert capsys.readouterr().out == (
        "No model is placed: launch one at http://192.168.1.5:52415\n"
    )


def breaker(target: str, model: str | None, state: str, **more: object) -> dict[str, object]:
    shape = {"target": target, "model": model, "state": state, "forced": False}
    return {**shape, "reason": "none", "since": None, "until": None, "failures": 0, **more}


def test_only_breakers_that_are_not_closed_are_listed(service: Service, capsys: Out) -> None:
    opened = {"since": ago(12.5), "until": ago(-8.5), "reason": "trip_after"}
    probed = {"since": ago(1.5), "reason": "probe_sent"}
    listed = [
        breaker("192.168.1.6:52415", None, "open", **opened),
        breaker("192.168.1.9:52415", "qwen3-30b", "half_open", **probed),
        *(breaker(f"10.0.0.{host}:52415", None, "closed") for host in range(5)),
    ]
    service.says("GET /supervisor/breakers", {"breakers": listed})
    assert service.main("breaker") == 0
    assert capsys.readouterr().out == (
        "TARGET             MODEL      STATE      SINCE     UNTIL   REASON\n"
        "192.168.1.6:52415  -          open       12 s ago  in 8 s  trip_after\n"
        "192.168.1.9:52415  qwen3-30b  half_open  1 s ago   -       probe_sent\n"
        "5 others closed. An open one is tried again by itself at UNTIL.\n"
    )


def test_all_well_is_one_line(service: Service, capsys: Out) -> None:
    listed = [breaker(f"10.0.0.{host}:52415", None, "closed") for host in range(7)]
    service.says("GET /supervisor/breakers", {"breakers": listed})
    assert service.main("breaker") == 0
    assert capsys.readouterr().out == "All 7 closed.\n"


def test_a_held_breaker_is_listed_although_closed(service: Service, capsys: Out) -> None:
    held = breaker("openrouter", None, "closed", forced=True, reason="operator")
    service.says("GET /supervisor/breakers", {"breakers": [held]})
    assert service.main("breaker") == 0
    assert "openrouter  -      closed  -      -      operator\n" in capsys.readouterr().out


def test_opening_a_breaker_tells_old_to_new_and_how_to_undo(service: Service, capsys: Out) -> None:
    now = breaker("10.0.0.6:52415", None, "open", forced=True, reason="operator")
    answer = {"breaker": now, "was": "closed", "changed": True}
    service.says("POST /supervisor/breakers/10.0.0.6:52415/open", answer)
    assert service.main("breaker", "10.0.0.6:52415", "open") == 0
    out, err = capsys.readouterr()
    assert out == "10.0.0.6:52415: closed -> open, held by the operator\n"
    assert err.splitlines() == [
        "undo: exo-supervisor breaker 10.0.0.6:52415 auto",
        "a restart of the service lets it go, too",
    ]


def test_a_finer_breaker_goes_by_its_model(service: Service, capsys: Out) -> None:
    now = breaker("a/b c", "m&n", "closed")
    path = "/supervisor/breakers/a%2Fb%20c/auto?model=m%26n"
    service.says(f"POST {path}", {"breaker": now, "was": "closed", "changed": False})
    assert service.main("breaker", "a/b c", "auto", "--model", "m&n") == 0
    assert capsys.readouterr() == ("a/b c m&n: already closed\n", "")
    assert service.seen[0].path == path


@pytest.mark.parametrize("words", [["t"], ["t", "shut"], ["--model", "m"]])
def test_half_a_breaker_command_is_a_usage_error(service: Service, words: list[str]) -> None:
    assert service.main("breaker", *words) == 2
    assert service.seen == []


@pytest.mark.parametrize("verb", ["status", "nodes", "models", "breaker"])
def test_json_is_the_body_unchanged_and_a_newline(service: Service, capsys: Out, verb: str) -> None:
    body = b'{ "odd":  1.10, "text": "\xc3\xa9\\u001b" }'
    path = "/supervisor/breakers" if verb == "breaker" else f"/supervisor/{verb}"
    service.on(f"GET {path}", whole(body))
    assert service.main("--json", verb) == 0
    assert capsys.readouterr().out.encode() == body + b"\n"


def test_a_refusal_of_the_service_is_told_in_its_words(service: Service, capsys: Out) -> None:
    assert service.main("breaker", "nobody", "open") == 1
    assert capsys.readouterr().err == (
        "error: no such path\n  why: route_not_found, HTTP status 404\n"
    )
    assert service.main("breaker", "nobody", "open", "--json") == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "route_not_found"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("ledger", "--currency"), "/supervisor/ledger?by=day&currency=%FF"),
        (
            ("ledger", "reconcile", "LIST", "--target"),
            "/supervisor/ledger/attempts?target=%FF&after=0",
        ),
        (("breaker", "a", "open", "--model"), "/supervisor/breakers/a/open?model=%FF"),
        (("inspect", "--client"), "/supervisor/inspect?client=%FF"),
    ],
)
def test_a_flag_of_odd_bytes_is_asked_for_as_it_is(
    service: Service, capsys: Out, words: tuple[str, ...], asked: str
) -> None:
    listed = service.path.with_name("list.csv")
    listed.write_text("id,cost\na,1\n")
    given = [str(listed) if word == "LIST" else word for word in words]
    assert service.main(*given, "\udcff") == 1
    assert service.seen[-1].path == asked
    assert "no such path" in capsys.readouterr().err
