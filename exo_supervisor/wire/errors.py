"""What a parser of the network's bytes raises."""

from exo_supervisor.errors import SupervisorError


class WireError(SupervisorError):
    """Bytes of the network are not what they should be; the text never repeats them."""
