"""`drill`: the own configuration before pretend targets that fail in every way."""

import json
import shutil
import tempfile
from pathlib import Path

import anyio

from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.parse import Arguments, similar
from exo_supervisor.cli.settings import guarded, load
from exo_supervisor.cli.term import cell, say, tint_word
from exo_supervisor.config.read import Settings
from exo_supervisor.host import logs
from exo_supervisor.rehearse.drill.card import Row
from exo_supervisor.rehearse.drill.card import drill as drill_all
from exo_supervisor.rehearse.drill.plan import SHORTEST, Plan, draw_up
from exo_supervisor.runtime.loop import loop_options
from exo_supervisor.runtime.sinks import Sink


def drill(arguments: Arguments) -> int:
    """Run the wall of faults against the configuration; fails unless every row holds."""
    return guarded(lambda: _drill(arguments), as_json=arguments.json)


def _drill(arguments: Arguments) -> int:
    settings = load(arguments)
    plan = _plan(settings, arguments.model)
    folder = Path(tempfile.mkdtemp(prefix="exo-drill-log-"))
    lines = folder / "service.log"
    with lines.open("wb") as stream:
        log = logs.configure("info", "json", stream=stream)
        try:
            rows = anyio.run(_play, arguments, settings, plan, log, backend_options=loop_options())
        finally:
            log.close(logs.LAST_LINES)
    failed = [row.fault for row in rows if not row.ok]
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        shown = [{"ok": r.ok, "fault": r.fault, "text": r.text, "seconds": r.seconds} for r in rows]
        body = {"ok": not failed, "model": plan.model.name, "file": settings.file}
        say(json.dumps({**body, "scale": plan.scale, "rows": shown}))
    if failed:
        raise VerbError(f"the drill failed at {'; '.join(failed)}; its log is {lines}")
    if not arguments.json:
        stayed = " No request reached a cloud." if plan.local_only else ""
        say(f"All {len(rows)} hold: every answer was whole or a clear error.{stayed}")
    return 0


def _plan(settings: Settings, name: str | None) -> Plan:
    try:
        return draw_up(settings.config, name)
    except KeyError:
        names = [each.name for each in settings.config.models]
        hint = f"exo-supervisor drill --model {names[0]}" if names else "exo-supervisor drill"
        raise misuse(f"no [[model]] is named `{name}`{similar(name or '', names)}", hint) from None


async def _play(arguments: Arguments, settings: Settings, plan: Plan, sink: Sink) -> list[Row]:
    rows: list[Row] = []
    if not arguments.json:
        say("Pretend targets on loopback, no key is used; the service and its settings are real.")
        say(f"Settings: {settings.file or 'the defaults'}.")
        say(f"Model: {cell(plan.model.name)}, {plan.about}.")
        say(_timers(plan))
    async for row in drill_all(plan, [sink]):
        rows.append(row)
        if not arguments.json:
            say(f"{tint_word(row.ok)}  {row.fault:<24}  {cell(row.text)}")
    return rows


def _timers(plan: Plan) -> str:
    if plan.scale == 1:
        return "Its timers are short enough as they are."
    scaled = f"Timers scaled by 1/{plan.scale}, none below {SHORTEST} s"
    return f"{scaled}, so that this takes under a minute."
