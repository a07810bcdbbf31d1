"""What each value of the file may be: a description completes the sentence "KEY wants ..."."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from exo_supervisor.core.books.amount import MOST
from exo_supervisor.core.requests.bodies import LARGEST_BODY

_WEEK = 604_800.0
_NAME = "a name of letters, digits, `.`, `_`, `-`"
_VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"


def _whole(least: int, most: int, example: int, what: str = "a whole number") -> Meta:
    description = f"{what} from {least} to {most}"
    return Meta(ge=least, le=most, description=description, examples=[example])


def _money(most: int, example: float, decimals: int | None = None) -> Meta:
    description = f"an amount of money from 0 to {most}"
    extra = None if decimals is None else {"decimals": decimals}
    return Meta(ge=0, le=most, description=description, examples=[example], extra=extra)


def _sized(most: int, description: str, example: str) -> Meta:
    return Meta(min_length=1, max_length=most, description=description, examples=[example])


def _spelled(pattern: str, most: int, description: str, example: str) -> Meta:
    return Meta(
        pattern=rf"^{pattern}\Z", max_length=most, description=description, examples=[example]
    )


def _variable(pattern: str) -> Meta:
    description = "the name of an environment variable, not its content"
    return _spelled(pattern, 128, description, "OPENROUTER_API_KEY")


Seconds = Annotated[float, Meta(gt=0, le=_WEEK, description="seconds above 0", examples=[5.0])]
Wait = Annotated[float, Meta(ge=0, le=_WEEK, description="seconds, 0 or more", examples=[5.0])]
Share = Annotated[float, Meta(ge=0, le=1, description="a share from 0 to 1", examples=[0.2])]
Port = Annotated[int, _whole(1, 65_535, 52_415, "a port")]
Tries = Annotated[int, _whole(1, 100, 3)]
InFlight = Annotated[int, _whole(1, 100_000, 1000)]
BodyBytes = Annotated[int, _whole(1, LARGEST_BODY, 33_554_432, "bytes")]
Rank = Annotated[int, _whole(-1000, 1000, 1)]
KeptDays = Annotated[int, _whole(1, 36_500, 400)]
Tokens = Annotated[
    int, Meta(ge=0, le=1_000_000_000, description="tokens, 0 or more", examples=[131_072])
]
RequestFields = Annotated[dict[str, object], Meta(description="a table of a request's fields")]
Text = Annotated[str, Meta(description="a string", max_length=4096)]
Id = Annotated[str, _sized(512, "a model's id", "llama-3.2-3b")]
CloudId = Annotated[
    str, _sized(512, "PROVIDER/MODEL", "openrouter/meta-llama/llama-3.2-3b-instruct")
]
User = Annotated[str, _sized(64, "a user's name or number", "anna")]
Group = Annotated[str, _sized(64, "a group's name or number", "users")]
Mode = Annotated[
    str,
    Meta(pattern=r"^0[0-7]{3}\Z", description="an octal mode in quotes", examples=["0660"]),
]
Variable = Annotated[str, _variable(_VARIABLE)]
MaybeVariable = Annotated[str, _variable(f"({_VARIABLE})?")]
ProviderName = Annotated[str, _spelled("[A-Za-z0-9._-]+", 64, _NAME, "openrouter")]
ClientName = Annotated[str, _spelled("[A-Za-z0-9_-][A-Za-z0-9._-]*", 64, _NAME, "kids")]
Rates = Annotated[dict[str, int], Meta(description="a table of `requests` and `tokens` a minute")]
Amount = Annotated[float, _money(MOST, 5.0)]
Amounts = Annotated[dict[str, float], Meta(description="a table of amounts by `day` and `month`")]
UnitPrice = Annotated[float, _money(1_000_000, 0.02, decimals=6)]
Requests = Annotated[
    int, Meta(ge=0, le=1_000_000_000, description="a number of requests, 0 for any", examples=[200])
]
Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}\Z", description="a currency's three letters", examples=["USD"])
]
NodeUrl = Annotated[
    str, Meta(description="a node's base URL", examples=["http://192.168.1.7:52415"])
]
CloudUrl = Annotated[
    str, Meta(description="an API's base URL", examples=["https://openrouter.ai/api/v1"])
]
ProxyUrl = Annotated[
    str,
    Meta(
        max_length=4096,
        description="an HTTP CONNECT proxy's URL",
        examples=["http://proxy.example:3128"],
    ),
]
Day = Annotated[date, Meta(description="a day without quotes, as 2026-01-01")]
Watts = Annotated[float, Meta(ge=0, le=100_000, description="watts, 0 or more", examples=[60.0])]
Tariff = Annotated[
    list[dict[str, object]], Meta(description='a list of { from = "HH:MM", price = AMOUNT }')
]
Tier = Literal["exo", "cloud"]
Privacy = Literal["any", "local_only"]
