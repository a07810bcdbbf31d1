"""What Exo's nodes download: how far each model is, and why it does not come."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct, structs

from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.names import ModelId, NodeId
from exo_supervisor.wire.bounds import MAX_MEMBERS, MAX_MODELS, at_most
from exo_supervisor.wire.chat.judge import safe_text
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.untrusted_json import UNREADABLE

MAX_VALUES = 150_000
"""Values of the downloads of a state, at most: one entry a card and node, with the card in it."""
MAX_ENTRIES = 8_000
"""Entries that are read, at most: those of 64 nodes that know 125 cards each."""
GIB = 1 << 30

WAITS = frozenset({"no_runners", "unknown", "idle", "connecting", "connected"})
"""Why an instance is not ready that may wait for a download: its runners have not begun to load."""


class Download(Struct, frozen=True):
    """A model on its way to a node's disk; `total` bytes are 0 where nobody knows them yet."""

    state: Literal["ongoing", "failed", "completed"]
    done: int = 0
    total: int = 0
    detail: str = ""

    def progress(self) -> str:
        """Say how far it is."""
        if not self.total:
            return f"downloading, {self.done / GIB:.1f} GiB so far"
        percent = 100 * self.done // self.total
        return f"downloading {percent} % ({self.done / GIB:.1f} of {self.total / GIB:.1f} GiB)"


Downloads = dict[tuple[NodeId, ModelId], Download]


class _Bytes(Struct, rename="camel"):
    in_bytes: int = 0


class _Progress(Struct, rename="camel"):
    """`totalBytes` and `downloadedBytes` are what 1.0.60 to 1.0.67 call them."""

    total: _Bytes = msgspec.field(default_factory=_Bytes)
    downloaded: _Bytes = msgspec.field(default_factory=_Bytes)
    total_bytes: _Bytes = msgspec.field(default_factory=_Bytes)
    downloaded_bytes: _Bytes = msgspec.field(default_factory=_Bytes)


class _Card(Struct, rename="camel"):
    model_id: str


class _Shard(Struct, rename="camel"):
    model_card: _Card | None = None
    model_meta: _Card | None = None


class _Entry(Struct, rename="camel"):
    shard_metadata: dict[str, _Shard]
    download_progress: _Progress = msgspec.field(default_factory=_Progress)
    error_message: str = ""


_entries = msgspec.json.Decoder(dict[str, list[dict[str, _Entry]]])


def read_downloads(body: bytes) -> Downloads | None:
    """Read `/state/downloads`, less what has not begun; None if it cannot be read: it explains."""
    if body.count(b",") + body.count(b"{") > MAX_VALUES:
        return None
    try:
        nodes = _entries.decode(body)
        at_most(MAX_MEMBERS, nodes)
    except (WireError, *UNREADABLE):
        return None
    told = [
        (node, *tagged) for node, all_ in nodes.items() for one in all_ for tagged in one.items()
    ]
    return _read(told) if len(told) <= MAX_ENTRIES else None


def _read(told: Iterable[tuple[str, str, _Entry]]) -> Downloads | None:
    found: Downloads = {}
    for node, tag, entry in told:
        download = _download(tag, entry)
        card = _card_of(entry)
        if download is not None and card is not None:
            found[NodeId(node), ModelId(card.model_id)] = download
    try:
        at_most(MAX_MODELS, {model for _, model in found})
    except WireError:
        return None
    return found


def on_disk(downloads: Downloads) -> tuple[ModelId, ...]:
    """Name the models that some node has on its disk."""
    done = (model for (_, model), one in downloads.items() if one.state == "completed")
    return tuple(dict.fromkeys(done))


def explain(models: Sequence[Placed], downloads: Downloads) -> tuple[Placed, ...]:
    """Say of the instances that wait for a download how far that is, or why it failed."""
    return tuple(_explained(placed, downloads) for placed in models)


def _explained(placed: Placed, downloads: Downloads) -> Placed:
    instances = tuple(_waits_for(one, placed.model, downloads) for one in placed.instances)
    if placed.ready or not instances:
        return structs.replace(placed, instances=instances)
    best = next((one for one in instances if one.why == "downloading"), instances[0])
    return Placed(placed.model, best.ready, best.why, best.progress, instances, best.detail)


def _waits_for(instance: Instance, model: ModelId, downloads: Downloads) -> Instance:
    """Judge by the worst of its hosts: a download that failed is never tried again."""
    if instance.why not in WAITS:
        return instance
    mine = [one for host in instance.hosts if (one := downloads.get((host, model))) is not None]
    failed = next((one for one in mine if one.state == "failed"), None)
    if failed is not None:
        return structs.replace(instance, why="download_failed", detail=failed.detail)
    slowest = min(
        (one for one in mine if one.state == "ongoing"),
        key=lambda one: one.done / one.total if one.total else one.done,
        default=None,
    )
    if slowest is None:
        return instance
    return structs.replace(instance, why="downloading", progress=slowest.progress())


def _download(tag: str, entry: _Entry) -> Download | None:
    match tag:
        case "DownloadOngoing":
            told = entry.download_progress
            done = max(told.downloaded.in_bytes, told.downloaded_bytes.in_bytes, 0)
            total = max(told.total.in_bytes, told.total_bytes.in_bytes, 0)
            return Download("ongoing", min(done, total) if total else done, total)
        case "DownloadFailed":
            return Download("failed", detail=safe_text(entry.error_message))
        case "DownloadCompleted":
            return Download("completed")
        case _:
            return None


def _card_of(entry: _Entry) -> _Card | None:
    shards = entry.shard_metadata.values()
    return next((card for one in shards if (card := one.model_card or one.model_meta)), None)
