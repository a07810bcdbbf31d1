"""The one table of verbs and flags; parsing, dispatch and help are made from it."""

from typing import NamedTuple

PROGRAM = "exo-supervisor"
SENTENCE = "Whole answers or honest errors, from an Exo cluster or from the cloud."


class Flag(NamedTuple):
    """One flag: `value` is the word that stands for its value, empty for a switch.

    `short` is its other spelling, as `-m`.
    """

    name: str
    value: str
    help: str
    choices: tuple[str, ...] = ()
    short: str = ""


class Verb(NamedTuple):
    """One verb; `most` bounds its words.

    The function of its name is in the module of its name, or in the `module` that is said.
    """

    name: str
    group: str
    help: str
    examples: tuple[str, ...]
    flags: tuple[str, ...] = ()
    words: str = ""
    most: int = 0
    module: str = ""


BYS = ("day", "model", "client", "target")
FLAGS = {
    flag.name: flag
    for flag in (
        Flag("config", "FILE", "read this supervisor.toml"),
        Flag("socket", "PATH", "the service's Unix socket"),
        Flag("json", "", "print the service's own JSON, unchanged"),
        Flag("help", "", "show this, or the help of a verb", short="-h"),
        Flag("debug", "", "say all about an unexpected fault"),
        Flag("wait", "SECONDS", "until it answers and has looked, at most so long"),
        Flag("all", "", "all nodes that are only found; of untrust, all pins"),
        Flag("forget", "", "forget the nodes that are not up and not configured"),
        Flag("strict", "", "a warning is a failure too"),
        Flag("keep", "", "stay up afterwards, and say how to send requests"),
        Flag("model", "NAME", "the model (chat: else the only ready one)", short="-m"),
        Flag("system", "TEXT", "what the model is told before the question"),
        Flag("max-tokens", "NUMBER", "end the answer after so many tokens"),
        Flag("temperature", "NUMBER", "0 for the likeliest words, higher for others"),
        Flag("privacy", "local_only", "never leave the own Exo", ("local_only",)),
        Flag("route", "exo|cloud", "let only these serve", ("exo", "cloud")),
        Flag("write", "", "write it into the program's own file"),
        Flag("undo", "", "put that file back as it was"),
        Flag("run", "", "start the program with it"),
        Flag("yes", "", "do not ask before what cannot be undone"),
        Flag("by", "day|model|client|target", "what it is added up by (else: day)", BYS),
        Flag("since", "DAY", "from this day of UTC on: 2026-01-31, today, 30d"),
        Flag("until", "DAY", "up to before this day"),
        Flag("currency", "CODE", "what is booked in it, as USD (else: budget's)"),
        Flag("target", "PROVIDER", "whose list FILE is (else: the only one there)"),
        Flag("csv", "", "print it as comma-separated values"),
        Flag("days", "NUMBER", "the new token ends after so many"),
        Flag("for", "TIME", "so long at most, as 90s, 10m or 2h"),
        Flag("next", "NUMBER", "so many requests at most"),
        Flag("client", "NAME", "those of this client alone"),
        Flag("deadline", "SECONDS", "give up after this time"),
        Flag("every", "SECONDS", "between two pictures; without a terminal there is one"),
        Flag("last", "", "the last request that ended"),
        Flag("shift", "", "the last moves of traffic, and what led to each"),
        Flag("open", "", "open it in a browser, even where none seems to be"),
    )
}
EVERYWHERE = ("config", "socket", "json", "debug", "help")
EXAMPLES = ("demo", "run", 'chat "Name three rivers."')
GROUPS = ("start", "look", "act")
MORE = "more"
"""The group of verbs of which the overview tells the names alone: it is one screen long."""
UNBOUNDED = 1_000_000
LEADS = {
    **dict.fromkeys(("start", "serve", "up", "server", "daemon"), "run"),
    **dict.fromkeys(("ask", "prompt", "generate"), "chat"),
    **dict.fromkeys(("list", "ls", "tags"), "models"),
    **dict.fromkeys(("info", "health", "ps"), "status"),
    **dict.fromkeys(("doctor", "validate", "test"), "check"),
    **dict.fromkeys(("budget", "budgets"), "status"),
    **dict.fromkeys(("cost", "costs", "spend", "spending", "usage", "bill", "price"), "ledger"),
    **dict.fromkeys(("explain", "trace", "requests", "shifts"), "why"),
    **dict.fromkeys(("ui", "web", "dashboard"), "hud"),
    **dict.fromkeys(("events", "watch", "monitor"), "top"),
}
"""What people type who come from elsewhere, and which verb does it here."""
_STOP = ("it ends by a signal, once its answers have ended", "kill %1")
_ENDS = f"systemctl stop {PROGRAM}.socket {PROGRAM}"
_LOG = ("its log is what `run` writes to standard error", "the file of that")
ELSEWHERE = {
    **dict.fromkeys(("stop", "down", "quit", "shutdown"), (*_STOP, _ENDS)),
    **dict.fromkeys(("restart", "reload"), (*_STOP, f"systemctl restart {PROGRAM}")),
    **dict.fromkeys(("log", "logs", "journal"), (*_LOG, f"journalctl -u {PROGRAM}")),
}
"""What is no verb here: why not, what to do with one run by hand, and the service's command."""

VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "demo",
            "start",
            "watch it work with pretend Exo nodes and a pretend cloud",
            ("demo", "demo --keep"),
            flags=("keep",),
        ),
        Verb(
            "run",
            "start",
            "start the service",
            ("run", "run --config ./supervisor.toml", "run --socket /tmp/exo.sock"),
        ),
        Verb(
            "check",
            "start",
            "validate the configuration, try each node and provider",
            ("check", "check --strict", "check --config ./supervisor.toml"),
            flags=("strict",),
        ),
        Verb(
            "config",
            "start",
            "print every setting and where its value came from",
            ("config", "config --config ./supervisor.toml"),
        ),
        Verb(
            "status",
            "look",
            "say whether it can serve, and what to do if not",
            ("status", "status --wait 10", "status --json"),
            flags=("wait",),
            module="look",
        ),
        Verb("socket", MORE, "print the path of the service's socket", ("socket",)),
        Verb(
            "top",
            "look",
            "watch it: what runs, what is wrong, what moved and why",
            ("top", "top --every 5", "top --json"),
            flags=("every",),
        ),
        Verb(
            "nodes",
            "look",
            "list the Exo nodes, and what holds one back; trust one",
            ("nodes", "nodes trust 192.168.1.7:52415", "nodes --forget"),
            flags=("all", "forget"),
            words="[trust|untrust ADDRESS]",
            most=2,
            module="look",
        ),
        Verb(
            "models",
            "look",
            "list models and who serves each; place or remove one",
            ("models", "models place llama-3.2-3b", "models remove llama-3.2-3b"),
            flags=("yes",),
            words="[place|remove NAME]",
            most=2,
        ),
        Verb(
            "clients",
            MORE,
            "list who asks, what each may, and what each used today",
            ("clients", "clients --json"),
            module="look",
        ),
        Verb(
            "ledger",
            "look",
            "say what was used, paid and saved; hold it against a bill",
            (
                "ledger --since 30d",
                "ledger --by model --since 2026-01-01 --csv",
                "ledger reconcile openrouter_activity.csv --target openrouter",
            ),
            flags=("by", "since", "until", "currency", "target", "csv"),
            words="[reconcile FILE]",
            most=2,
        ),
        Verb(
            "egress",
            MORE,
            "say what left the house, by day, provider and client",
            ("egress", "egress --json"),
            module="look",
        ),
        Verb(
            "why",
            "look",
            "say why a request went as it did, or where one would go",
            ("why --last", "why 01J9ZQ6C7T", "why --shift", "why llama-3.2-3b"),
            flags=("last", "shift"),
            words="[REQUEST_ID|MODEL]",
            most=1,
        ),
        Verb(
            "hud",
            "look",
            "show it all on a page in the browser, while this runs",
            ("hud", "hud --open"),
            flags=("open",),
        ),
        Verb(
            "inspect",
            MORE,
            "show the next requests and answers whole; nothing is kept",
            ("inspect --for 10m", "inspect --client kids --next 3", "inspect stop"),
            flags=("for", "next", "client"),
            words="[stop]",
            most=1,
        ),
        Verb("version", MORE, "print the version", ("version", "version --json")),
        Verb(
            "chat",
            "act",
            "ask a question, or converse; the answer says who served it",
            (
                'chat "Name three rivers."',
                "chat -m llama-3.2-3b --privacy local_only",
                'chat "Put this in French:" < letter.txt > lettre.txt',
            ),
            flags=("model", "system", "max-tokens", "temperature", "privacy", "route", "deadline"),
            words="[PROMPT]",
            most=UNBOUNDED,
        ),
        Verb(
            "breaker",
            "act",
            "list the breakers that are not closed, or hold one",
            (
                "breaker",
                "breaker 192.168.1.6:52415 open",
                "breaker openrouter auto --model llama-3.2-3b",
            ),
            flags=("model",),
            words="[TARGET open|close|auto]",
            most=2,
            module="look",
        ),
        Verb(
            "connect",
            "act",
            "tell Claude Code, Codex, Ollama's clients, ... where this is",
            ("connect codex", "connect opencode --write", "connect claude-code --run"),
            flags=("model", "write", "undo", "run"),
            words="PROGRAM",
            most=UNBOUNDED,
        ),
        Verb(
            "token",
            "act",
            "print a token for server.tcp; make, list or end those of clients",
            ("token", "token new kids --days 90", "token list", "token revoke kids"),
            flags=("days",),
            words="[list|new NAME|revoke NAME]",
            most=2,
        ),
        Verb(
            "drill",
            MORE,
            "run your configuration against pretend targets that fail",
            ("drill", "drill --model llama-3.2-3b"),
            flags=("model",),
        ),
    )
}
