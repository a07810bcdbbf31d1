"""The verb `connect`: tells a program that people use where the service is, or has told it."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import cast

from exo_supervisor.cli import edits, own_file, token_manager
from exo_supervisor.cli.chat import only_ready
from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.parse import Arguments, similar
from exo_supervisor.cli.programs import PROGRAMS, Program
from exo_supervisor.cli.running import names_a_file, of_service
from exo_supervisor.cli.settings import guarded, load
from exo_supervisor.cli.term import clean, note, say
from exo_supervisor.client.json_object import fields
from exo_supervisor.config import where
from exo_supervisor.errors import why_failed

_EXAMPLE = 'server.tcp = "127.0.0.1:11435"'


def connect(arguments: Arguments) -> int:
    """Print what a program has to be told, write it, take it back, or start the program with it."""
    name, *rest = arguments.words or ("",)
    program = PROGRAMS.get(name)
    if program is None:
        known = similar(name, list(PROGRAMS)) if name else ""
        hint = f"exo-supervisor connect {'|'.join(PROGRAMS)}"
        got = f", got `{name}`{known}" if name else ""
        raise misuse(f"connect wants a program{got}", hint)
    if sum((arguments.write, arguments.undo, arguments.run)) > 1 or (rest and not arguments.run):
        raise misuse("connect does one thing at a time", f"exo-supervisor connect {name} --write")
    if arguments.undo:
        return _undo(name, program)
    return guarded(lambda: _connect(arguments, name, program), as_json=arguments.json)


def _connect(arguments: Arguments, name: str, program: Program) -> int:
    url, variable = _listener(arguments, name)
    if arguments.write:
        return _write(arguments, name, program, {"URL": url, "VARIABLE": variable})
    if arguments.run:
        return _run(arguments, program, {"URL": url, "VARIABLE": variable})
    words = {"URL": url, "VARIABLE": variable, "TOKEN": f"${variable}"}
    words["MODEL"] = _model(arguments, needed=False)
    entry = _entry(program, words)
    if arguments.json:
        environ = _filled(dict(program.environ), words)
        said = {"client": name, "environ": environ, "file": program.file.rpartition(":")[2]}
        say(json.dumps({**said, "entry": entry, "do": _filled(program.do, words)}))
        return 0
    _tell(name, program, words, entry)
    return 0


def _listener(arguments: Arguments, name: str) -> tuple[str, str]:
    """Return the URL of the TCP listener, and the variable of its token. Raises VerbError."""
    body = None if names_a_file(arguments) else of_service(arguments, "/supervisor/config")
    if body is None:
        settings = load(arguments)
        server, file = settings.config.server, settings.file
        tcp, variable = server.tcp, server.token_env
    else:
        told = fields(fields(body.get("config")).get("server"))
        tcp, variable, file = str(told.get("tcp")), str(told.get("token_env")), body.get("file")
    if not tcp:
        raise VerbError(
            f"the service listens at its Unix socket alone, and {name} cannot speak to one",
            why=["server.tcp is not set"],
            hint=f"{_EXAMPLE} in {file or where.SYSTEM_FILE}, and start the service anew",
        )
    return f"http://{tcp}", variable or "EXO_SUPERVISOR_TOKEN"


def _write(arguments: Arguments, name: str, program: Program, words: dict[str, str]) -> int:
    path = _path(name, program)
    if program.edit == "manager":
        changed = token_manager.write(path, words["URL"], _token(words["VARIABLE"]))
    else:
        words = _needed(arguments, words, json.dumps(program.entry))
        entry = _filled(program.entry, words)
        merge = edits.MERGES[program.edit]
        secret = "$TOKEN" in json.dumps(program.entry)
        changed = own_file.change(path, lambda text: merge(text, entry), program.new, secret=secret)
    say(f"{path}: {'changed' if changed else 'already so'}")
    if program.do:
        note(str(_filled(program.do, {"MODEL": "MODEL", **words})))
    note(f"undo: exo-supervisor connect {name} --undo")
    return 0


def _undo(name: str, program: Program) -> int:
    path = _path(name, program)
    changed = (token_manager if program.edit == "manager" else own_file).undo(path)
    say(f"{path}: {'as it was before' if changed else 'already without it'}")
    return 0


def _run(arguments: Arguments, program: Program, words: dict[str, str]) -> int:
    name, *more = arguments.words
    if not program.command or not (program.environ or program.flags):
        raise misuse(
            f"{name} takes this from its own file or page", f"exo-supervisor connect {name}"
        )
    told = json.dumps([dict(program.environ), program.flags, program.entry])
    words = _needed(arguments, words, told)
    words["ENTRY"] = json.dumps(_entry(program, words))
    environ = {**os.environ, **fields(_filled(dict(program.environ), words))}
    flags = [str(_filled(flag, words)) for flag in program.flags]
    command = program.command
    try:
        os.execvpe(command, [command, *flags, *more], {k: str(v) for k, v in environ.items()})  # noqa: S606 - the program that a person named
    except OSError as error:
        why = why_failed(error)
        hint = f"install it, or put it on the PATH; then exo-supervisor connect {name} --run"
        raise VerbError(f"{command} could not be started", why=[why], hint=hint) from error


def _tell(name: str, program: Program, words: dict[str, str], entry: object) -> None:
    """Print what can be pasted; the token stands there by the name of its variable."""
    brief = {name: text for name, text in program.environ.items() if text != "$ENTRY"}
    for variable, value in fields(_filled(brief, words)).items():
        if variable != words["VARIABLE"]:
            say(f'export {variable}="{clean(str(value))}"')
    if program.file:
        say(f"# {program.file.rpartition(':')[2]}; or: exo-supervisor connect {name} --write")
        say(clean(edits.shown(program.edit, entry)).rstrip("\n"))
    if program.do:
        say(f"# {clean(str(_filled(program.do, words)))}")
    if words["VARIABLE"] not in os.environ:
        note(f"{words['VARIABLE']} is not set here: exo-supervisor token new NAME makes one")


def _entry(program: Program, words: dict[str, str]) -> object:
    if program.edit == "manager":
        return token_manager.entry(words["URL"])
    return _filled(program.entry, words)


def _needed(arguments: Arguments, words: dict[str, str], told: str) -> dict[str, str]:
    """Add what is asked for in it: the token, the model. Raises VerbError."""
    if "$TOKEN" in told:
        words = {**words, "TOKEN": _token(words["VARIABLE"])}
    if "$MODEL" in told:
        words = {**words, "MODEL": _model(arguments, needed=True)}
    return words


def _token(variable: str) -> str:
    token = os.environ.get(variable, "")
    if not token:
        raise VerbError(
            f"the token is missing: {variable} is not set here",
            hint=f"export {variable}=..., as exo-supervisor token new NAME made it",
        )
    return token


def _model(arguments: Arguments, *, needed: bool) -> str:
    try:
        return arguments.model or only_ready(arguments)
    except VerbError as error:
        if not needed:
            return "MODEL"
        hint = f"exo-supervisor connect {arguments.words[0]} --model NAME"
        raise VerbError(error.message, why=error.why, hint=hint) from error


def _filled(template: object, words: Mapping[str, str]) -> object:
    """Fill the words into every text of a template, names of members included."""
    escaped = {name: json.dumps(word)[1:-1] for name, word in words.items()}
    text = Template(json.dumps(template)).safe_substitute(escaped)
    return cast("object", json.loads(text))


def _path(name: str, program: Program) -> Path:
    """Return where the program's file is: at its usual place, or where a variable moved it.

    Raises VerbError where it has none.
    """
    if not program.file:
        raise misuse(f"{name} keeps this in no file", f"exo-supervisor connect {name}")
    variable, _, usual = program.file.rpartition(":")
    moved = os.environ.get(variable[1:]) if variable else None
    if moved:
        return Path(moved) / Path(usual).name
    if sys.platform == "darwin":
        usual = usual.replace("~/.config/io.", "~/Library/Application Support/io.")
    return Path(usual).expanduser()
