"""The help texts, made from the table of verbs; each fits one screen of 80 by 24."""

from exo_supervisor.cli.verbs import (
    EVERYWHERE,
    EXAMPLES,
    FLAGS,
    GROUPS,
    MORE,
    PROGRAM,
    SENTENCE,
    VERBS,
    Flag,
    Verb,
)


def overview() -> str:
    """Say what the program is, three examples, the verbs by group, and the common flags."""
    lines = [SENTENCE, ""]
    lines += [f"  {PROGRAM} {example}" for example in EXAMPLES]
    lines.append("")
    for group in GROUPS:
        for place, verb in enumerate(v for v in VERBS.values() if v.group == group):
            lines.append(f"{group if place == 0 else '':<7}{verb.name:<9}{verb.help}")
    lines.append(f"{MORE:<7}{', '.join(v.name for v in VERBS.values() if v.group == MORE)}")
    common = "  ".join(_spelled(FLAGS[name]) for name in EVERYWHERE if name != "debug")
    return "\n".join([*lines, "", f"  {common}  (VERB --help says more)"])


def of_verb(verb: Verb) -> str:
    """Say what one verb does, its examples, its own flags, and the common ones."""
    head = f"usage: {PROGRAM} {verb.name}{' ' + verb.words if verb.words else ''} [flags]"
    sentence = verb.help[:1].upper() + verb.help[1:] + "."
    examples = [f"  {PROGRAM} {example}" for example in verb.examples]
    return "\n".join([sentence, head, "", *examples, "", *_flags(verb.flags + EVERYWHERE)])


def _flags(names: tuple[str, ...]) -> list[str]:
    shown = [(_spelled(FLAGS[name]), FLAGS[name].help) for name in names]
    width = max(len(spelled) for spelled, _ in shown) + 2
    return [f"  {spelled:<{width}}{text}" for spelled, text in shown]


def _spelled(flag: Flag) -> str:
    spelled = f"--{flag.name} {flag.value}".rstrip()
    return f"{flag.short}, {spelled}" if flag.short else spelled
