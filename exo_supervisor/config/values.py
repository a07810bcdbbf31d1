"""What each value of the file may be: a description completes the sentence "KEY wants ..."."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from exo_supervisor.core.books.amount import MOST
from exo_supervisor.core.requests.bodies import LARGEST_BODY

_WEEK = 604_800.0

Seconds = Annotated[float, Meta(gt=0, le=_WEEK, description="seconds above 0", examples=[5.0])]
Wait = Annotated[float, Meta(ge=0, le=_WEEK, description="seconds, 0 or more", examples=[5.0])]
Share = Annotated[float, Meta(ge=0, le=1, description="a share from 0 to 1", examples=[0.2])]
Port = Annotated[int, Meta(ge=1, le=65_535, description="a port from 1 to 65535", examples=[52415])]
Tries = Annotated[int, Meta(ge=1, le=100, description="a whole number from 1 to 100", examples=[3])]
InFlight = Annotated[
    int, Meta(ge=1, le=100_000, description="a whole number from 1 to 100000", examples=[1000])
]
BodyBytes = Annotated[
    int,
    Meta(
        ge=1,
        le=LARGEST_BODY,
        description=f"bytes from 1 to {LARGEST_BODY}",
        examples=[33_554_432],
    ),
]
Rank = Annotated[
    int,
    Meta(ge=-1000, le=1000, description="a whole number from -1000 to 1000", examples=[1]),
]
Tokens = Annotated[
    int, Meta(ge=0, le=1_000_000_000, description="tokens, 0 or more", examples=[131_072])
]
KeptDays = Annotated[
    int, Meta(ge=1, le=36_500, description="a whole number from 1 to 36500", examples=[400])
]
RequestFields = Annotated[dict[str, object], Meta(description="a table of a request's fields")]
Text = Annotated[str, Meta(description="a string", max_length=4096)]
Id = Annotated[
    str, Meta(min_length=1, max_length=512, description="a model's id", examples=["llama-3.2-3b"])
]
CloudId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        description="PROVIDER/MODEL",
        examples=["openrouter/meta-llama/llama-3.2-3b-instruct"],
    ),
]
Mode = Annotated[
    str,
    Meta(pattern=r"^0[0-7]{3}\Z", description="an octal mode in quotes", examples=["0660"]),
]
Variable = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z",
        max_length=128,
        description="the name of an environment variable, not its content",
        examples=["OPENROUTER_API_KEY"],
    ),
]
MaybeVariable = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?\Z",
        max_length=128,
        description="the name of an environment variable, not its content",
        examples=["OPENROUTER_API_KEY"],
    ),
]
User = Annotated[
    str, Meta(min_length=1, max_length=64, description="a user's name or number", examples=["anna"])
]
Group = Annotated[
    str,
    Meta(min_length=1, max_length=64, description="a group's name or number", examples=["users"]),
]
ProviderName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]+\Z",
        max_length=64,
        description="a name of letters, digits, `.`, `_`, `-`",
        examples=["openrouter"],
    ),
]
ClientName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\Z",
        max_length=64,
        description="a name of letters, digits, `.`, `_`, `-`",
        examples=["kids"],
    ),
]
Rates = Annotated[dict[str, int], Meta(description="a table of `requests` and `tokens` a minute")]
Amount = Annotated[
    float, Meta(ge=0, le=MOST, description=f"an amount of money from 0 to {MOST}", examples=[5.0])
]
Amounts = Annotated[dict[str, float], Meta(description="a table of amounts by `day` and `month`")]
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
UnitPrice = Annotated[
    float,
    Meta(
        ge=0,
        le=1_000_000,
        description="an amount of money from 0 to 1000000",
        examples=[0.02],
        extra={"decimals": 6},
    ),
]
Day = Annotated[date, Meta(description="a day without quotes, as 2026-01-01")]
Watts = Annotated[float, Meta(ge=0, le=100_000, description="watts, 0 or more", examples=[60.0])]
Tariff = Annotated[
    list[dict[str, object]], Meta(description='a list of { from = "HH:MM", price = AMOUNT }')
]
Tier = Literal["exo", "cloud"]
Privacy = Literal["any", "local_only"]
