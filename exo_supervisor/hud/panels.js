// The panels that list: what to do, what runs, what moved, what ended, and the log.

import { html } from "/hud/lit-html.js";
import { brief, clock, count, plural, seconds, since, span } from "./format.js";
import { sign } from "./shapes.js";
import { REASONS, tell } from "./story.js";

const quiet = (text) => html`<p class="quiet">${text}</p>`;

/** What a person should do next; what failed comes before what is under way. */
export function advice(feed) {
  const status = feed.views.status;
  if (feed.refused) return letIn();
  if (!status) return null;
  const lines = [...troubles(feed), ...status.advice];
  if (status.to_trust) lines.push(`some nodes are only found, not trusted: ${status.to_trust}`);
  for (const row of status.held ?? []) {
    const at = row.model ? `${row.target}, ${row.model}` : row.target;
    lines.push(`${at} is held ${row.state} by an operator, until somebody lets it go`);
  }
  if (!lines.length && !status.last_failed) return null;
  return html`
    <h2 id="advice-title">What to do</h2>
    <ul class="advice">
      ${lines.map((line) => html`<li>${line}</li>`)}
      ${status.last_failed
        ? html`<li class="past">Last failure ${since(status.last_failed.at)} ago: ${brief(status.last_failed.why, 300)}</li>`
        : ""}
    </ul>`;
}

/** What is wrong with the books: it costs money or knowledge, and hinders no answer. */
function* troubles(feed) {
  const stopped = feed.views.status.ledger?.stopped;
  if (stopped) yield `booking has stopped: ${stopped}`;
  for (const row of feed.views.status.budgets ?? []) {
    const whose = row.name ? `${row.scope} ${row.name}` : row.scope;
    if (row.why) yield `nobody knows what was spent of the budget of ${whose}: ${row.why}`;
    if (Number(row.spent) + Number(row.held) < Number(row.limit)) continue;
    yield `the budget of ${whose} for the ${row.span} is spent: clouds are refused${row.until ? ` until ${clock(row.until)}` : ""}`;
  }
}

function letIn() {
  return html`<h2 id="advice-title">What to do</h2>
    <ul class="advice">
      <li>Run <code>exo-supervisor hud</code> and open the address that it prints: each works once, in one browser.</li>
      <li>Where <code>server.tcp</code> is set, open <code>/hud#t=TOKEN</code> there, with a token of the listener.</li>
    </ul>`;
}

const WAITS = { first_look: "for the first look", model: "for the model", turn: "for its turn" };

/** What runs now, the oldest first, and what waits. */
export function running(feed) {
  const rows = feed.views.requests?.requests ?? [];
  const waiting = rows.filter((row) => row.state === "waiting").length;
  return html`
    <div class="head">
      <h2 id="running-title">Running now</h2>
      <p class="figure">${count(rows.length - waiting)}${waiting ? html` <small>+ ${waiting} waiting</small>` : ""}</p>
    </div>
    ${rows.length
      ? html`<ol class="rows">${rows.slice(0, 12).map(runningRow)}</ol>
          ${rows.length > 12 ? quiet(`and ${plural(rows.length - 12, "more", "more")}`) : ""}`
      : quiet("Nothing runs. A request shows here as soon as it arrives.")}`;
}

function runningRow(row) {
  const { prefill } = row;
  const to = row.state === "waiting" ? `waits ${WAITS[row.why] ?? ""}` : row.target;
  const step = row.state === "asked" ? "no content yet" : row.state;
  return html`<li>
    <span class="main"><b>${brief(row.model, 30)}</b> <span class="to">${to}</span></span>
    <span class="side">${since(row.since)}${row.attempts > 1 ? ` · attempt ${row.attempts}` : ""}</span>
    ${prefill
      ? html`<progress max=${prefill.total} value=${prefill.done} aria-label="prompt read"></progress>
          <span class="side">${count(prefill.done)} of ${count(prefill.total)} tokens read</span>`
      : html`<span class="sub">${step}</span>`}
  </li>`;
}

/** Each move of traffic, the newest first: whence, whither and why. */
export function shifts(feed) {
  const rows = feed.views.shifts?.shifts ?? fromEvents(feed);
  const trips = feed.views.shifts?.trips ?? [];
  const all = [...rows.map((row) => ({ at: row.since, row })), ...trips.map((trip) => ({ at: trip.at, trip }))]
    .sort((a, b) => (a.at < b.at ? 1 : -1))
    .slice(0, 14);
  return html`
    <h2 id="shifts-title">Shifts</h2>
    ${all.length ? html`<ol class="timeline">${all.map(moment)}</ol>` : quiet("Traffic has not moved since the start.")}`;
}

function fromEvents(feed) {
  const moved = feed.events.filter((each) => each.event === "traffic_shifted");
  return moved.map((each) => ({ ...each, since: each.ts, until: null, duration: null }));
}

function moment({ at, row, trip }) {
  if (trip) {
    const why = (trip.evidence ?? []).map((each) => each.fault).slice(0, 4).join(", ");
    return html`<li class="trip">
      <time datetime=${at}>${clock(at)}</time>
      <span><b>Breaker of ${brief(trip.target)}</b> opened${trip.model ? `, for ${brief(trip.model)}` : ""}: ${trip.reason.replaceAll("_", " ")}</span>
      <span class="sub">${why ? `after ${why}` : ""}${trip.closed ? `, closed ${clock(trip.closed)}` : ""}</span>
    </li>`;
  }
  const lasted = row.duration === null ? "" : `, ${row.until === null ? "for" : "over after"} ${seconds(row.duration)}`;
  return html`<li class=${row.to === "cloud" ? "out" : "home"}>
    <time datetime=${at}>${clock(at)}</time>
    <span><b>${row.from} → ${row.to}</b> ${REASONS[row.reason] ?? row.reason}</span>
    <span class="sub">${brief(row.model)}${row.target ? ` to ${brief(row.target)}` : ""}${lasted}${row.requests ? `, ${plural(row.requests, "request")}` : ""}</span>
  </li>`;
}

/** The last answers: who gave them, and what they cost in time. */
export function ended(feed) {
  const kept = feed.views.requests?.ended?.filter((row) => row.full) ?? [];
  const known = new Set(kept.map((row) => row.id));
  const newer = feed.events.filter((each) => each.event === "request_done" && !known.has(each.request_id));
  const rows = [...newer, ...kept];
  const counts = feed.now?.requests ?? feed.views.status?.requests;
  return html`
    <div class="head">
      <h2 id="ended-title">Last answers</h2>
      ${counts
        ? html`<p class="sums">${plural(counts.total, "request")}: ${count(counts.exo)} Exo, ${count(counts.cloud)} cloud,
            ${count(counts.failed)} failed, ${count(counts.refused)} refused, ${count(counts.abandoned)} left</p>`
        : ""}
    </div>
    ${rows.length ? html`<ol class="rows">${rows.slice(0, 10).map(endedRow)}</ol>` : quiet("Nothing was asked yet.")}`;
}

function endedRow(row) {
  const well = row.outcome === "success";
  const id = row.request_id ?? row.id;
  const tokens = row.completion_tokens ? ` · ${plural(row.completion_tokens, "token")}` : "";
  return html`<li>
    <span class="main">${sign(well ? "ready" : row.outcome === "abandoned" ? "wait" : "down", row.outcome)}
      <b>${brief(row.model ?? "–", 28)}</b> <span class="to">${row.target ?? row.code ?? "nobody"}</span></span>
    <span class="side">${seconds(row.duration)}</span>
    <span class="sub">${row.ttft === null || row.ttft === undefined ? row.outcome : `first content ${seconds(row.ttft)}`}${tokens}${row.shift ? ` · ${row.shift.replaceAll("_", " ")}` : ""}${row.attempts > 1 ? ` · ${row.attempts} attempts` : ""}</span>
    <button type="button" class="act" aria-label=${`Why ${id}`} @click=${() => tell(id)}>Why</button>
  </li>`;
}

const SHOWN = ["node", "target", "model", "cluster", "from", "to", "reason", "fault", "why", "outcome", "code", "provider", "order", "message"];

/** What happened, in the log's own words. */
export function log(feed) {
  return html`
    <h2 id="log-title">Log</h2>
    ${feed.events.length
      ? html`<ol class="log" tabindex="0" aria-label="Events, newest first">${feed.events.slice(0, 40).map(logged)}</ol>`
      : quiet(feed.live ? "Nothing has happened since this page was opened." : "This service tells no events.")}`;
}

function logged(each) {
  const facts = SHOWN.filter((name) => each[name] !== null && each[name] !== undefined && typeof each[name] !== "object");
  return html`<li class=${each.level}>
    <time datetime=${each.ts}>${clock(each.ts, { seconds: true })}</time>
    <b>${each.event}</b>
    <span>${facts.map((name) => html`<i>${name}</i> ${brief(each[name], 60)} `)}</span>
  </li>`;
}

/** Who runs this, and where it can be reached. */
export function about(feed) {
  const { status } = feed.views;
  if (!status) return "";
  return html`exo-supervisor ${status.version} · up ${span(status.uptime)} · ${status.config ?? "no configuration file"} ·
    ${(status.sockets ?? []).join(", ")}${status.quiet?.length ? ` · cannot hear: ${status.quiet.join(", ")}` : ""}`;
}

