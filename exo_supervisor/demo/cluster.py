"""What the nodes of one Exo cluster share: members, instances, tasks, illness, elections."""

import uuid
from dataclasses import dataclass, field
from typing import Literal

import anyio

from exo_supervisor.demo.answers import JsonObject
from exo_supervisor.demo.diseases import HEALTHY, LOADS, SHARED, Disease
from exo_supervisor.demo.server import DemoServer

Generation = Literal["A", "B", "C"]
TASKS_KEPT = 256


@dataclass
class Instance:
    """A model placed on its hosts, each with a runner for its shard.

    It can serve from `ready_at` on, unless it failed meanwhile. Until `runs_on_until` its runner
    works for a request that is gone.
    """

    model: str
    runners: dict[str, str]
    ready_at: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    failed_until: float = 0.0
    runs_on_until: float = 0.0


@dataclass
class Task:
    """A request as the replicated state keeps it, prompt and all."""

    command: str
    instance: str
    body: JsonObject
    status: str = "Running"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Member(DemoServer):
    """A demo Exo node as its cluster sees it; `node_id` changes at every start from B on."""

    cluster: "ExoCluster"
    node_id: str = ""
    joined_at: float = 0.0
    left_at: float | None = None

    @property
    def illness(self) -> Disease:
        """Its own disease, or one that its cluster shares."""
        return self.disease if self.disease.name != "none" else self.cluster.illness

    def loading(self, model: str) -> bool:
        return self.cluster.loading(model)


class ExoCluster:
    """Nodes that share one state.

    `models` are placed and ready from the start; a model placed later is ready after
    `load_seconds`; a dead member stays in the topology for `silence` seconds, as Exo's master
    drops a node after 30 s without a word, and with it the instances that have a shard there.

    It boots as the real one does where it is told to: a member is alone with a session of its own
    for `gather_seconds`, then falls to the beginning of the others' log and replays it for
    `replay_seconds`; an order that was said yes to is carried out `execute_seconds` later.
    """

    def __init__(
        self,
        generation: Generation = "C",
        models: tuple[str, ...] = (),
        *,
        load_seconds: float = 0.1,
        crash_seconds: float = 1.3,
        silence: float = 30.0,
        gather_seconds: float = 0.0,
        replay_seconds: float = 0.0,
        execute_seconds: float = 0.0,
    ) -> None:
        self.generation: Generation = generation
        self.models = models
        self.load_seconds, self.crash_seconds, self.silence = load_seconds, crash_seconds, silence
        self.gather_seconds, self.replay_seconds = gather_seconds, replay_seconds
        self.execute_seconds = execute_seconds
        self.members: list[Member] = []
        self.orders: list[tuple[float, Instance]] = []
        self.instances: dict[str, Instance] = {}
        self.on_disk = set(models)
        self.tasks: dict[str, Task] = {}
        self.ghosts: list[str] = []
        self._left: dict[str, float] = {}
        self.elected_until = 0.0
        self._session_start = 0.0
        self._events = 0
        self._cancels = 0
        self._running = False

    @property
    def illness(self) -> Disease:
        for member in self.members:
            if member.alive and member.disease.name in SHARED:
                return member.disease
        return HEALTHY

    @property
    def listed(self) -> list[Member]:
        """The members that the topology still names."""
        now = anyio.current_time()
        return [
            member
            for member in self.members
            if member.left_at is None or now - member.left_at < self.silence
        ]

    @property
    def last_event(self) -> int:
        """The index of the last event applied: grows by one a second and member, -1 in election."""
        now = anyio.current_time()
        if now < self.elected_until:
            return -1
        return self._events + int((now - self._session_start) * max(1, len(self.listed)))

    def listed_by(self, member: Member) -> list[Member]:
        """List the members that the topology of one of them names."""
        now = anyio.current_time()
        if now < member.joined_at + self.gather_seconds:
            return [member]
        return [each for each in self.listed if now >= each.joined_at + self.gather_seconds]

    def last_event_of(self, member: Member) -> int:
        """Tell the last event that a member has applied: of its own session while alone."""
        now = anyio.current_time()
        alone_for = now - member.joined_at
        if alone_for < self.gather_seconds:
            return 4 + int(alone_for)
        replayed = alone_for - self.gather_seconds
        if not self._founded_by(member) and replayed < self.replay_seconds:
            return int((self.last_event + 1) * replayed / self.replay_seconds) - 1
        return self.last_event

    def shown_by(self, member: Member) -> list[Instance]:
        """List the instances in the state of a member: none before it has caught up."""
        behind = self.last_event_of(member) < self.last_event
        return [] if behind and not self._founded_by(member) else self.standing()

    def _founded_by(self, member: Member) -> bool:
        """Say whether the session is that of this member: the eldest that lives."""
        present = [each for each in self.members if each.left_at is None]
        return member is min(present, key=lambda each: each.joined_at, default=member)

    def join(self, member: Member, former: str) -> None:
        """Take in a member that has started, `former` its id before; the first opens a session."""
        if member not in self.members:
            self.members.append(member)
        elif former != member.node_id:
            self.ghosts = [*self.ghosts[-31:], former]
            left = {each: at for each, at in self._left.items() if each in self.ghosts}
            self._left = {**left, former: member.left_at or anyio.current_time()}
        member.left_at, member.joined_at = None, anyio.current_time()
        if not self._running:
            self._running = True
            self.restore()

    def leave(self, member: Member) -> None:
        """Note that a member died; with the last one the session ends."""
        member.left_at = anyio.current_time()
        self._running = any(other.alive for other in self.members)

    def restore(self) -> None:
        """Open a fresh session with every configured model placed and ready."""
        self._open_session()
        now = anyio.current_time()
        for model in self.models:
            self.place(model, ready_at=now)

    def _open_session(self) -> None:
        self.instances.clear()
        self.tasks.clear()
        self._session_start = max(anyio.current_time(), self.elected_until)
        self._events = 4

    def elect(self, seconds: float) -> None:
        """Let a new master win: state is empty, running answers are forgotten, POSTs pause."""
        self.elected_until = anyio.current_time() + seconds
        self._open_session()
        self._events = 0
        for member in self.members:
            for stream in list(member.streams.values()):
                stream.turn("forgotten")

    def order(self, model: str, instance_id: str | None = None) -> None:
        """Say yes to one more instance of `model`, under an id that the asker may choose."""
        due = anyio.current_time() + self.execute_seconds
        one = self.place(model, ready_at=due + self.load_seconds)
        del self.instances[one.id]
        one.id = instance_id or one.id
        self.orders.append((due, one))
        self.standing()

    def place(self, model: str, *, ready_at: float | None = None, hosts: int = 1) -> Instance:
        """Place one more instance of `model`, sharded over the first `hosts` living members."""
        now = anyio.current_time()
        alive = [member for member in self.members if member.alive] or self.members
        runners = {member.node_id: str(uuid.uuid4()) for member in alive[:hosts]}
        instance = Instance(
            model, runners, now + self.load_seconds if ready_at is None else ready_at
        )
        self.instances[instance.id] = instance
        self.on_disk.add(model)
        self._events += 1
        return instance

    def standing(self) -> list[Instance]:
        """List the instances, less those of which Exo's master knows that a host has left."""
        now = anyio.current_time()
        for due, one in [order for order in self.orders if order[0] <= now]:
            self.orders.remove((due, one))
            self.instances.setdefault(one.id, one)
            self._events += 1
        known = {member.node_id for member in self.listed}
        known |= {each for each, at in self._left.items() if now - at < self.silence}
        for one in list(self.instances.values()):
            if self.generation != "A" and not known.issuperset(one.runners):
                self.remove(one.id)
        return list(self.instances.values())

    def remove(self, instance_id: str) -> None:
        """Delete an instance: its running answers end cleanly, without a finish reason."""
        del self.instances[instance_id]
        self._events += 1
        for member in self.members:
            for stream in list(member.streams.values()):
                task = self.tasks.get(stream.id)
                if task is not None and task.instance == instance_id:
                    stream.turn("ends")

    def serving(self, model: str) -> Instance | None:
        """Return the instance that answers for `model`, ready or not."""
        if self.illness.name == "instance_gone":
            return None
        return next((one for one in self.standing() if one.model == model), None)

    def loading(self, model: str) -> bool:
        instance = self.serving(model)
        return instance is None or self.status(instance)[0] not in {"RunnerReady", "RunnerRunning"}

    def status(self, instance: Instance) -> tuple[str, JsonObject]:
        """Return the state of an instance's runner: its tag and what the tag holds."""
        now, newer = anyio.current_time(), self.generation == "C"
        if self.illness.name == "runner_failed" or now < instance.failed_until:
            why = {"errorMessage": "Terminated (signal=9 (Killed))"}
            return "RunnerFailed", why | ({"diagnostics": []} if newer else {})
        if self.illness.name in LOADS - {"loading"}:
            return "RunnerIdle", {}
        if self.illness.name == "loading" or now < instance.ready_at:
            return "RunnerLoading", {"layersLoaded": 1, "totalLayers": 4}
        works = now < instance.runs_on_until or any(
            task.instance == instance.id and task.status == "Running"
            for task in self.tasks.values()
        )
        if works and self.illness.name != "runner_gone":
            return "RunnerRunning", {}
        return "RunnerReady", {"prefillServerPort": None} if newer else {}

    def crash(self, instance: Instance) -> None:
        """Let the runner fail; it is started again and ready after `crash_seconds`."""
        instance.failed_until = anyio.current_time() + self.crash_seconds

    def cancel_by_name(self, command: str, seconds: float) -> None:
        """Cancel a request as `POST /v1/cancel/{id}` does; every second runner works on.

        The API reports the task finished at once, the master deletes it, and a worker that looks
        only each 0.1 s never sees that it was cancelled: it generates to `max_tokens`, which takes
        `seconds` (v1.0.71: 4 of 7; a closed connection: 0 of 7).
        """
        self._cancels += 1
        task = self.tasks.pop(command, None)
        instance = None if task is None else self.instances.get(task.instance)
        if instance is not None and self._cancels % 2:
            instance.runs_on_until = anyio.current_time() + seconds

    def begin(self, command: str, instance: Instance, body: JsonObject) -> Task:
        while len(self.tasks) >= TASKS_KEPT:
            del self.tasks[next(iter(self.tasks))]
        self.tasks[command] = Task(command, instance.id, body)
        self._events += 1
        return self.tasks[command]

    def settle(self, command: str, *, cancelled: bool) -> None:
        """Forget an answered request; one whose client left stays, as Exo leaks it."""
        self._events += 1
        if not cancelled:
            self.tasks.pop(command, None)
        elif command in self.tasks:
            self.tasks[command].status = "Complete" if self.generation == "C" else "Cancelled"
