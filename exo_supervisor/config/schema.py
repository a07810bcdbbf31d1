"""What `supervisor.toml` may say: one struct per table, its keys and their defaults.

Field names are the file's keys (`continue_` stands for `continue`, a word Python keeps), and every
duration is in seconds.
"""

from typing import Literal

from msgspec import Struct, field

from exo_supervisor.config.presets import PresetName
from exo_supervisor.config.values import (
    Amount,
    Amounts,
    BodyBytes,
    ClientName,
    CloudId,
    CloudUrl,
    Currency,
    Day,
    Group,
    Id,
    InFlight,
    KeptDays,
    MaybeVariable,
    Mode,
    NodeUrl,
    Port,
    Privacy,
    ProviderName,
    ProxyUrl,
    Rank,
    Rates,
    RequestFields,
    Requests,
    Seconds,
    Share,
    Tariff,
    Text,
    Tier,
    Tokens,
    Tries,
    UnitPrice,
    User,
    Variable,
    Wait,
    Watts,
)


class Server(Struct, frozen=True):
    """`[server]`: where clients come in, and how much is let in."""

    socket: Text = ""
    "Empty means: chosen by place, when the service starts."
    socket_mode: Mode = "0660"
    socket_group: Text = ""
    admin_group: Text = ""
    tcp: Text = ""
    token_env: Variable = "EXO_SUPERVISOR_TOKEN"  # noqa: S105 - the name of a variable
    drain_timeout: Wait = 30.0
    max_body_bytes: BodyBytes = 33_554_432
    max_requests: InFlight = 1000
    head: Seconds = 15.0


class Discovery(Struct, frozen=True):
    """`[discovery]`: where Exo nodes are looked for."""

    static: tuple[NodeUrl, ...] = ("http://127.0.0.1:52415",)
    broadcast: Literal["raw", "bind", "off"] = "raw"
    mdns: bool = True
    multicast: bool = True
    crawl: bool = True
    api_ports: tuple[Port, ...] = (52_415,)
    namespaces: tuple[Text, ...] = ()
    interfaces: tuple[Text, ...] = ()
    ranges: tuple[Text, ...] = ()
    trust: Literal["private", "link", "named"] = "private"
    loopback_users: tuple[User, ...] = ()
    manual_file: Text = ""
    remember: bool = True
    advertise: bool = False


class Health(Struct, frozen=True):
    """`[health]`: how often nodes are asked whether they are well."""

    interval: Seconds = 5.0
    timeout: Seconds = 2.0
    ready_interval: Seconds = 10.0


class BreakerPolicy(Struct, frozen=True):
    """`[breaker]`: when a target is given a rest, and for how long."""

    trip_after: Tries = 3
    rest: Seconds = 10.0
    rest_max: Seconds = 120.0


class Retry(Struct, frozen=True):
    """`[retry]`: how often one request may be tried again."""

    attempts: Tries = 3
    budget: Share = 0.2


class Timeouts(Struct, frozen=True):
    """`[timeouts]`: how long each part of an attempt may take."""

    connect: Seconds = 2.0
    headers: Seconds = 8.0
    first_content: Seconds = 30.0
    first_content_max: Seconds = 300.0
    stall: Seconds = 20.0
    total: Seconds = 900.0


class Routing(Struct, frozen=True):
    """`[routing]`: who is asked first, and what may leave the house."""

    order: tuple[Tier, ...] = ("exo", "cloud")
    policy: Literal["fastest", "least_busy", "round_robin", "weighted", "cheapest"] = "fastest"
    privacy: Privacy = "any"
    patience: Wait = 5.0


class Provider(Struct, frozen=True, kw_only=True):
    """`[[provider]]`: one cloud; for a timer that is None the service chooses."""

    name: ProviderName
    preset: PresetName = ""
    dialect: Literal["openai", "anthropic"] = "openai"
    base_url: CloudUrl
    key_env: tuple[Variable, ...] = ()
    "They are tried in their order."
    priority: Rank = 1
    models: tuple[Id, ...] = ()
    stream: bool = True
    "False: it is never asked for a stream, not even on behalf of a client that wants one."
    local: bool = False
    "True: it is one of the house. No preset says so, for only its owner knows where it stands."
    proxy: ProxyUrl = ""
    connect: Seconds | None = None
    headers: Seconds | None = None
    first_content: Seconds | None = None
    stall: Seconds | None = None
    budget: Amounts = field(default_factory=lambda: {"day": 0.0, "month": 0.0})


class Model(Struct, frozen=True):
    """`[[model]]`: a name that clients use, and what serves it in Exo and in the cloud."""

    name: Id
    exo: tuple[Id, ...] = ()
    cloud: tuple[CloudId, ...] = ()
    privacy: Privacy = "any"
    keep: bool = False
    on_demand: bool = False
    continue_: bool = field(default=False, name="continue")
    commit: Literal["content", "answer"] = "content"
    aliases: tuple[Id, ...] = ()
    any_of: tuple[Id, ...] = ()
    fallback: tuple[Id, ...] = ()
    context: Tokens = 0
    defaults: RequestFields = {}


class Client(Struct, frozen=True, kw_only=True):
    """`[[client]]`: somebody who asks, and what they may; the first row that fits holds."""

    name: ClientName
    uid: tuple[User, ...] = ()
    gid: tuple[Group, ...] = ()
    token_env: MaybeVariable = ""
    models: tuple[Id, ...] = ()
    privacy: Privacy = "any"
    route: Literal["", "exo", "cloud"] = ""
    profile: Literal["", "token-manager"] = ""
    admin: bool = False
    rate: Rates = field(default_factory=lambda: {"requests": 0, "tokens": 0})
    budget: Amounts = field(default_factory=lambda: {"day": 0.0, "month": 0.0, "session": 0.0})


class Budget(Struct, frozen=True):
    """`[budget]`: how much money clouds may cost, 0 for any."""

    currency: Currency = "USD"
    day: Amount = 0.0
    month: Amount = 0.0
    session: Amount = 0.0
    session_requests: Requests = 0
    time_zone: Text = "UTC"
    unknown_price: Literal["deny", "allow"] = "deny"


class Ledger(Struct, frozen=True):
    """`[ledger]`: what is kept of what requests cost, and what savings are counted against."""

    keep_days: KeptDays = 400
    "Of what is older sums by day are kept."
    reference: Text = ""
    "PROVIDER/MODEL."


class PriceRow(Struct, frozen=True, kw_only=True):
    """`[[price]]`: what a provider asks for a million tokens; None: as `input`, or as `output`."""

    provider: ProviderName
    model: Id
    "`*` is all of the provider's that have no row of their own."
    from_: Day | None = field(default=None, name="from")
    "None: always. The newest that has begun holds."
    input: UnitPrice
    cached: UnitPrice | None = None
    cache_write: UnitPrice | None = None
    cache_write_1h: UnitPrice | None = None
    output: UnitPrice
    reasoning: UnitPrice | None = None
    request: UnitPrice = 0.0
    "For each request."


class Power(Struct, frozen=True):
    """`[power]`: what Exo's nodes use, and what a kWh costs; empty: nobody knows."""

    watts: Watts = 0.0
    "Of a node at work that does not tell its own."
    idle_watts: Watts = 0.0
    "Of that, what it would use anyway."
    tariff: Tariff = field(default_factory=list[dict[str, object]])


class Log(Struct, frozen=True):
    """`[log]`: how much is said on standard error, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console", "auto"] = "auto"


class Config(Struct, frozen=True):
    """The whole file, every key with its value."""

    server: Server = Server()
    discovery: Discovery = Discovery()
    health: Health = Health()
    breaker: BreakerPolicy = BreakerPolicy()
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    routing: Routing = Routing()
    providers: tuple[Provider, ...] = field(default=(), name="provider")
    models: tuple[Model, ...] = field(default=(), name="model")
    clients: tuple[Client, ...] = field(default=(), name="client")
    budget: Budget = Budget()
    ledger: Ledger = Ledger()
    prices: tuple[PriceRow, ...] = field(default=(), name="price")
    power: Power = Power()
    log: Log = Log()
