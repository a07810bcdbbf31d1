"""Whether a model's id is one: a pattern that would never match is no id."""

from exo_supervisor.config.network_checks import Problem


def listed_problem(name: str) -> Problem | None:
    """Find a pattern in a list of ids that stand for themselves."""
    if "*" in name:
        return "holds a `*`, and is one model's id", "leave the list empty for all that it lists"
    return None


def priced_problem(name: str) -> Problem | None:
    """Find a pattern where only `*` alone is one."""
    if name != "*" and "*" in name:
        hint = 'write a row for each model, or "*" alone for all that have none'
        return "holds a `*`, and is one model's id", hint
    return None
