"""A conversation at a terminal: questions and answers that remember what was said before."""

from contextlib import suppress
from importlib import import_module

from exo_supervisor.cli.ask import ask
from exo_supervisor.cli.errors import UNREACHABLE, VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell, note, say, tell
from exo_supervisor.client.json_object import Fields

_PROMPT = "> "
_ENDS = ("/bye", "/exit", "/quit")
_COMMANDS = "/reset forgets, /model NAME asks another, Ctrl-D ends"


class Conversation:
    """Keeps what was said for as long as it lasts; nothing of it is written anywhere."""

    def __init__(self, arguments: Arguments, model: str) -> None:
        self._arguments, self._model = arguments, model
        self._said: list[Fields] = []
        self._reset()

    def run(self) -> int:
        """Converse until Ctrl-D."""
        with suppress(ImportError):
            import_module("readline")  # `input` edits lines once it is there
        note(f"-- {cell(self._model)}; {_COMMANDS}")
        while True:
            try:
                line = input(_PROMPT)
            except EOFError:
                say("")
                return 0
            except KeyboardInterrupt:  # as a shell does: the line is dropped
                say("")
                continue
            except UnicodeDecodeError:
                note("-- that was not UTF-8")
                continue
            if line.strip() in _ENDS:
                return 0
            if line.strip():
                self._take(line)

    def _take(self, line: str) -> None:
        command, _, rest = line.strip().partition(" ")
        match command:
            case "/reset":
                self._reset()
                note("-- forgotten")
            case "/model":
                self._model = rest.strip() or self._model
                note(f"-- {cell(self._model)}")
            case _ if command.startswith("/") and not rest and "/" not in command[1:]:
                note(f"-- {_COMMANDS}")
            case _:
                self._ask(line)

    def _ask(self, line: str) -> None:
        """Ask, and remember question and answer; what is not whole is not remembered."""
        question: Fields = {"role": "user", "content": line}
        try:
            line.encode()
            answer = ask(self._arguments, self._model, [*self._said, question])
        except KeyboardInterrupt:
            return
        except UnicodeEncodeError:
            note("-- that was not UTF-8")
        except VerbError as error:
            if error.exit_code == UNREACHABLE:
                raise
            tell(error)
        else:
            told: Fields = {"role": "assistant", "content": answer}
            self._said += [question, told]

    def _reset(self) -> None:
        system = self._arguments.system
        told: Fields = {"role": "system", "content": system}
        self._said = [] if system is None else [told]
