"""What left the house is counted to the byte, whoever looks: log, status, routes and verbs."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.world import CLOUD_MODEL, KEY, MODEL, Json, in_process, run

pytestmark = pytest.mark.real_time

CLOUD = {"x-supervisor-route": "cloud"}


class Recorder:
    """Stands before a provider and keeps every byte that is sent to it."""

    def __init__(self, base_url: str) -> None:
        self._to = urlsplit(base_url)
        self.base_url, self.connections, self.sent = "", 0, list[bytearray]()

    @asynccontextmanager
    async def standing(self) -> AsyncGenerator["Recorder"]:
        async with await asyncio.start_server(self._relay, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            self.base_url = f"http://127.0.0.1:{port}{self._to.path}"
            yield self

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        kept = bytearray()
        self.sent.append(kept)
        up, on = await asyncio.open_connection(self._to.hostname, self._to.port)

        async def pass_on(
            source: asyncio.StreamReader, to: asyncio.StreamWriter, kept: bytearray | None
        ) -> None:
            try:
                while data := await source.read(65_536):
                    if kept is not None:
                        kept += data
                    to.write(data)
            finally:
                to.close()

        await asyncio.gather(
            pass_on(reader, on, kept), pass_on(up, writer, None), return_exceptions=True
        )

    def bytes_of_chats(self) -> int:
        """Count what belongs to POSTs: a list is asked for without a body."""
        lists = re.compile(rb"GET .*?\r\n\r\n", re.DOTALL)
        return sum(len(lists.sub(b"", bytes(each))) for each in self.sent)


def provider(recorder: Recorder) -> list[dict[str, object]]:
    return [{"name": "house-cloud", "base_url": recorder.base_url, "key_env": "HOUSE_CLOUD_KEY"}]


async def test_the_book_agrees_with_what_went_over_the_wire(tmp_path: Path) -> None:
    async with (
        ExoNode("C") as node,
        Cloud(KEY, (CLOUD_MODEL,)) as cloud,
        Recorder(cloud.base_url).standing() as recorder,
    ):
        tables: Json = {"provider": provider(recorder)}
        async with in_process(node, cloud=cloud, state=tmp_path, **tables) as world:
            await world.ready()
            assert (await world.chat()).headers["x-supervisor-target"] == node.address
            body = await world.look("/supervisor/egress")
            assert (body["requests"], body["bytes"], body["days"]) == (0, 0, [])
            shown = await run("egress", "--socket", world.path)
            assert "0 requests, 0 B left the house" in shown.out
            assert "0 requests, 0 B" in (await run("status", "--socket", world.path)).out
            for more in (
                {},
                {"stream": True},
                {"messages": [{"role": "user", "content": "x" * 10**6}]},
            ):
                assert (await world.chat(CLOUD, **more)).status_code == 200
            lines = await world.lines("request_done", 4)
            body = await world.look("/supervisor/egress")
            sent = recorder.bytes_of_chats()
            assert sent > 10**6
            assert body["bytes"] == sent == sum(line["egress_bytes"] for line in lines)
            assert lines[0]["egress_bytes"] == 0
            assert lines[1]["egress"] == {"house-cloud": lines[1]["egress_bytes"]}
            assert "egress" not in lines[0]
            [row] = body["days"]
            assert (row["provider"], row["client"], row["requests"]) == (
                "house-cloud",
                "default",
                3,
            )
            assert (await world.look("/supervisor/status"))["egress"]["requests"] == 3
            shown = await run("egress", "--socket", world.path)
            assert f"3 requests, {sent} B left the house" in shown.out
            assert "house-cloud" in shown.out
        async with in_process(node, cloud=cloud, state=tmp_path, **tables) as world:
            assert (await world.look("/supervisor/egress"))["bytes"] == sent, "after a restart"
            used = (await world.look("/supervisor/clients"))["clients"]
            assert [(each["name"], each["requests"]) for each in used] == [("default", 4)]
        (tmp_path / "day_book.json").write_bytes(b'{"version":1,"sin')
        async with in_process(node, cloud=cloud, state=tmp_path, **tables) as world:
            assert (await world.look("/supervisor/egress"))["bytes"] == 0
            assert await world.lines("day_book_unreadable")


async def test_a_request_that_goes_from_one_provider_to_the_next_is_counted_at_both() -> None:
    async with (
        ExoNode("C") as node,
        Cloud(KEY, (CLOUD_MODEL,)) as first,
        Cloud(KEY, (CLOUD_MODEL,)) as second,
    ):
        first.disease = Disease("status", status=500)
        clouds = [
            {"name": name, "base_url": each.base_url, "key_env": "K", "priority": place}
            for place, (name, each) in enumerate({"first": first, "second": second}.items())
        ]
        row = {"name": MODEL, "cloud": [f"first/{CLOUD_MODEL}", f"second/{CLOUD_MODEL}"]}
        async with in_process(node, provider=clouds, model=[row]) as world:
            await world.ready()
            assert (await world.chat()).headers["x-supervisor-target"] == "second"
            [line] = await world.lines("request_done")
            assert set(line["egress"]) == {"first", "second"}, line
            assert sum(line["egress"].values()) == line["egress_bytes"]
            days = (await world.look("/supervisor/egress"))["days"]
            assert {(each["provider"], each["requests"]) for each in days} == {
                ("first", 1), ("second", 1),
            }  # fmt: skip


async def test_a_house_that_nothing_may_leave_asks_no_provider_even_for_its_list() -> None:
    async with (
        ExoNode("C") as node,
        Cloud(KEY, (CLOUD_MODEL,)) as cloud,
        Recorder(cloud.base_url).standing() as recorder,
    ):
        tables: Json = {"provider": provider(recorder), "routing": {"privacy": "local_only"}}
        async with in_process(node, cloud=cloud, **tables) as world:
            await world.ready()
            assert (await world.chat()).status_code == 200
            await node.stop()
            await world.ready(0)
            assert (await world.chat()).json()["error"]["code"] == "local_only_unavailable"
            [seen] = (await world.look("/supervisor/status"))["providers"]
            assert (seen["state"], seen["why"]) == ("off", 'routing.privacy is "local_only"')
            assert (await world.look("/supervisor/egress"))["bytes"] == 0
        assert recorder.connections == 0
