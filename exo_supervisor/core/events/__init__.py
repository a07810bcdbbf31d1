"""What happened, in the past tense. Only one of these can change the supervisor's mind."""

from exo_supervisor.core.events.base import Ticked
from exo_supervisor.core.events.books import CalendarRead, SpendingRead, SpendingUnread
from exo_supervisor.core.events.fleet import (
    AddressesRead,
    CapacityRead,
    CardsRead,
    LinkSeen,
    ModelRemoved,
    NodeSighted,
    PlacementChosen,
    PlacementFailed,
    PlacementRead,
    PlacementSettled,
    ProbeAnswered,
    ProbeFailed,
    ProviderFailed,
    ProviderListed,
    ProviderVetted,
    SourceHeard,
)
from exo_supervisor.core.events.orders import (
    BreakerForced,
    ModelOrdered,
    NodesForgotten,
    NodeTrusted,
    PolicyChanged,
)
from exo_supervisor.core.events.requests import (
    AttemptQuieted,
    AttemptSettled,
    ContentSeen,
    RequestArrived,
    RequestEnded,
)

Event = (
    NodeSighted
    | SourceHeard
    | ProbeAnswered
    | ProbeFailed
    | PlacementRead
    | PlacementFailed
    | CapacityRead
    | CardsRead
    | PlacementChosen
    | PlacementSettled
    | ModelRemoved
    | ModelOrdered
    | NodeTrusted
    | NodesForgotten
    | LinkSeen
    | AddressesRead
    | ProviderListed
    | ProviderFailed
    | ProviderVetted
    | RequestArrived
    | ContentSeen
    | AttemptQuieted
    | AttemptSettled
    | RequestEnded
    | BreakerForced
    | PolicyChanged
    | CalendarRead
    | SpendingRead
    | SpendingUnread
    | Ticked
)
