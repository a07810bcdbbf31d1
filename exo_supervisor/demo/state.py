"""The replicated state of generations B and C as `/state` spells it, and A's topology."""

from datetime import UTC, datetime, timedelta

import anyio

from exo_supervisor.demo.answers import JsonObject
from exo_supervisor.demo.cards import LEGACY_DEVICE, SHELF_IDS, card
from exo_supervisor.demo.cluster import ExoCluster, Instance, Member, Task

GIB = 1 << 30
DISK_FULL = "[Errno 28] No space left on device"


def state(cluster: ExoCluster, member: Member) -> JsonObject:
    """Return the whole `/state` of a B or C cluster, as one of its members has it."""
    newer = cluster.generation == "C"
    present = cluster.listed_by(member)
    names = [each.node_id for each in present]
    shown = [] if cluster.illness.name == "instance_gone" else cluster.shown_by(member)
    after_thunderbolt: JsonObject = {"nodeBackends": {name: ["MlxCpu"] for name in names}}
    last: JsonObject = {"instanceLinks": {}, "prefillServerPorts": {}, "customModelCards": {}}
    return {
        "instances": {one.id: instance(one, cluster.generation) for one in shown},
        "runners": {
            runner: dict([cluster.status(one)]) for one in shown for runner in one.runners.values()
        },
        "downloads": {name: _downloads(name, cluster) for name in names},
        "tasks": {task.id: _task(task, newer=newer) for task in cluster.tasks.values()},
        "lastSeen": {member.node_id: _last_seen(member) for member in present},
        "topology": {"nodes": names, "connections": _connections(present)},
        "lastEventAppliedIdx": cluster.last_event_of(member),
        "nodeIdentities": {name: _identity() for name in (*cluster.ghosts, *names)},
        "nodeMemory": {name: _memory() for name in names},
        "nodeDisk": {name: _disk() for name in names},
        "nodeSystem": {},
        "nodeNetwork": {member.node_id: _network(member) for member in present},
        "nodeThunderbolt": {},
        "nodeThunderboltBridge": {},
        "nodeRdmaCtl": {},
        **(after_thunderbolt if newer else {}),
        "thunderboltBridgeCycles": [],
        **(last if newer else {}),
    }


def topology_a(cluster: ExoCluster) -> JsonObject:
    """Return `/v1/topology` of generation A."""
    names = [member.node_id for member in cluster.listed]
    graph = {
        name: [
            {"from_id": name, "to_id": other, "description": "Ethernet (eth0)"}
            for other in names
            if other != name
        ]
        for name in names
        if len(names) > 1
    }
    nodes = dict.fromkeys(names, LEGACY_DEVICE)
    return {"nodes": nodes, "peer_graph": graph, "active_node_id": None}


def instance(one: Instance, generation: str) -> JsonObject:
    """Return one instance under its tag."""
    world = len(one.runners)
    return {
        "MlxRingInstance": {
            "instanceId": one.id,
            "shardAssignments": {
                "modelId": one.model,
                "runnerToShard": {
                    runner: _shard(one.model, generation, rank, world)
                    for rank, runner in enumerate(one.runners.values())
                },
                "nodeToRunner": one.runners,
            },
            "hostsByNode": {
                host: [{"ip": "0.0.0.0", "port": 52106}] * world  # noqa: S104 - Exo's text
                for host in one.runners
            },
            "ephemeralPort": 52106,
        }
    }


def _shard(model: str, generation: str, rank: int = 0, world: int = 1) -> JsonObject:
    about = card(model, generation)
    layers: int = about["nLayers"]
    return {
        "PipelineShardMetadata": {
            "modelCard": about,
            "deviceRank": rank,
            "worldSize": world,
            "immediateException": False,
            "shouldTimeout": None,
            "startLayer": layers * rank // world,
            "endLayer": layers * (rank + 1) // world,
            "nLayers": layers,
        }
    }


def _downloads(name: str, cluster: ExoCluster) -> list[JsonObject]:
    placed = {one.model for one in cluster.standing() if name in one.runners}
    return [
        _download(name, model, cluster, wanted=model in placed)
        for model in dict.fromkeys((*SHELF_IDS, *sorted(cluster.on_disk)))
    ]


def _download(name: str, model: str, cluster: ExoCluster, *, wanted: bool) -> JsonObject:
    """Tell how far one model is on the way to one disk; only what is placed is on its way."""
    shard, ill = _shard(model, cluster.generation), cluster.illness
    size: int = card(model, cluster.generation)["storageSize"]["inBytes"]
    where: JsonObject = {
        "nodeId": name,
        "shardMetadata": shard,
        "modelDirectory": f"/home/exo/.local/share/exo/models/{model.replace('/', '--')}",
    }
    if wanted and ill.name == "download_failed":
        return {"DownloadFailed": {**where, "errorMessage": DISK_FULL}}
    if wanted and ill.name == "downloading":
        return {
            "DownloadOngoing": {**where, "downloadProgress": _progress(size, ill.percent)},
        }
    if model in cluster.on_disk:
        return {"DownloadCompleted": {**where, "total": {"inBytes": size}, "readOnly": False}}
    nothing: JsonObject = {"downloaded": {"inBytes": 0}, "total": {"inBytes": 0}}
    return {"DownloadPending": {**where, **nothing}}


def _progress(size: int, percent: int) -> JsonObject:
    done = size * percent // 100
    return {
        "total": {"inBytes": size},
        "downloaded": {"inBytes": done},
        "downloadedThisSession": {"inBytes": done},
        "completedFiles": 1,
        "totalFiles": 4,
        "speed": 4_000_000.0,
        "etaMs": (size - done) // 4000,
        "files": {},
    }


def _task(task: Task, *, newer: bool) -> JsonObject:
    return {
        "TextGeneration": {
            "taskId": task.id,
            "taskStatus": task.status,
            "instanceId": task.instance,
            "commandId": task.command,
            "taskParams": _params(task, newer=newer),
            "errorType": None,
            "errorMessage": None,
        }
    }


def _params(task: Task, *, newer: bool) -> JsonObject:
    messages: list[JsonObject] = task.body.get("messages", [])
    given = task.body.get
    return {
        "model": given("model"),
        "input": [
            {"role": message.get("role"), "content": message.get("content")} for message in messages
        ],
        "instructions": None,
        "max_output_tokens": given("max_tokens"),
        "temperature": given("temperature"),
        "top_p": given("top_p"),
        "stream": bool(given("stream")),
        "tools": given("tools"),
        "bench": False,
        "use_prefix_cache": False,
        "top_k": given("top_k"),
        "stop": given("stop"),
        "seed": given("seed"),
        "chat_template_messages": messages,
        "reasoning_effort": given("reasoning_effort"),
        "enable_thinking": given("enable_thinking"),
        "logprobs": bool(given("logprobs")),
        "top_logprobs": given("top_logprobs"),
        "min_p": given("min_p"),
        "repetition_penalty": given("repetition_penalty"),
        "repetition_context_size": given("repetition_context_size"),
        "presence_penalty": given("presence_penalty"),
        "frequency_penalty": given("frequency_penalty"),
        "images": [],
        "image_hashes": {},
        **({"prefill_endpoint": None} if newer else {}),
    }


def _last_seen(member: Member) -> str:
    silent = 0.0 if member.left_at is None else anyio.current_time() - member.left_at
    return (datetime.now(UTC) - timedelta(seconds=silent)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _connections(present: list[Member]) -> JsonObject:
    if len(present) == 1:
        return {}
    return {
        source.node_id: {
            sink.node_id: [{"sinkMultiaddr": _multiaddr(sink)}]
            for sink in present
            if sink is not source
        }
        for source in present
    }


def _multiaddr(member: Member) -> JsonObject:
    return {
        "address": f"/ip4/{member.host}/tcp/{member.port}",
        "address_type": "ip4",
        "ip_address": member.host,
        "port": member.port,
    }


def _identity() -> JsonObject:
    return {
        "modelId": "Unknown Model",
        "chipId": "Unknown Chip",
        "friendlyName": "demo",
        "osVersion": "Linux",
        "osBuildVersion": "Unknown",
    }


def _memory() -> JsonObject:
    return {
        "ramTotal": {"inBytes": 64 * GIB},
        "ramAvailable": {"inBytes": 48 * GIB},
        "swapTotal": {"inBytes": 0},
        "swapAvailable": {"inBytes": 0},
    }


def _disk() -> JsonObject:
    return {"total": {"inBytes": 252 * GIB}, "available": {"inBytes": 72 * GIB}}


def _network(member: Member) -> JsonObject:
    addresses = [("lo", "127.0.0.1"), ("lo", "::1")]
    if member.host != "127.0.0.1":
        addresses.append(("eth0", member.host))
    return {
        "interfaces": [
            {"name": name, "ipAddress": address, "interfaceType": "unknown"}
            for name, address in addresses
        ]
    }
