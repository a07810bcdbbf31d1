"""Whether who a `[[client]]` is fits what it may."""

from exo_supervisor.config.builder import Builder
from exo_supervisor.config.row_checks import check_names

DEFAULT = "default"
"""The row of all clients whom no other row fits; without it these may do all that is no order."""
_OWN = ("uid", "gid", "token_env", "admin")
"""Keys that name or trust one client in particular, which the default row cannot."""


def check_clients(builder: Builder) -> None:
    """Promise a fault for each row that contradicts itself, or another."""
    check_names(builder, "client")
    at_home = builder.get("routing", "privacy") == "local_only"
    for label in builder.listed("client"):
        if builder.get(label, "name") == DEFAULT:
            for key in _OWN:
                if builder.values[label].get(key):
                    message = (
                        f"client.{key} stands in `{DEFAULT}`, which is whoever no other row fits"
                    )
                    hint = "leave it out, or name the row otherwise"
                    builder.refuse_value(f"{label}.{key}", message, hint)
        if builder.get(label, "route") == "cloud" and (
            at_home or builder.get(label, "privacy") == "local_only"
        ):
            whose = "routing" if at_home else "client"
            message = f'client.route is "cloud", and {whose}.privacy "local_only"'
            hint = "nothing could serve it: take one of them out"
            builder.refuse_value(f"{label}.route", message, hint)
