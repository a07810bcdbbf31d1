// Why a request went where it went: each attempt, what was passed over for it, and what came of it.

import { html } from "/hud/lit-html.js";
import { closing, draw, head, open } from "./dialog.js";
import { brief, clock, money, plural, seconds } from "./format.js";
import { look } from "./session.js";

export const REASONS = {
  exo_down: "Exo was down", model_not_ready: "its model was not ready", breaker_open: "a breaker was open",
  attempt_failed: "an attempt failed", busy: "it was busy", panic: "all breakers were open",
  route: "the request said so", cloud_down: "the cloud was down", recovered: "it had recovered",
  unsupported_field: "a field is not taken there", local_only: "the request must stay in the house",
  not_trusted: "it is found, not trusted", retry_budget: "the retry budget was spent", slower: "another was faster",
  budget_spent: "the budget has nothing for it",
};

const CHOSEN = {
  only: "the only one that could serve it", fastest: "expected to be the fastest", in_turn: "its turn",
  home: "where this conversation was before", panic: "a probe, since all breakers rest",
  least_busy: "the least busy", again: "tried once more", anew: "asked anew without a field that it refused",
};

const WAITED = { first_look: "the first look", model: "its model", turn: "its turn", pause: "a short pause" };

/** Tell a request's story. */
export async function tell(id) {
  open(html`${head("Why")}<p role="status">Asking the service…</p>`);
  const { status, body } = await look(`/supervisor/requests/${encodeURIComponent(id)}`);
  if (status !== 200) return draw(html`${head("Why")}<p role="alert">${body.message}</p><p class="buttons">${closing()}</p>`);
  const row = body.request;
  draw(html`
    ${head(`Why ${row.model ?? "it"} went there`)}
    <p class="sub">${row.outcome ?? row.state}${row.code ? `, ${row.code}` : ""} · ${clock(row.since, { seconds: true })} · ${plural(row.attempts, "attempt")}
      ${row.client ? `· client ${row.client}` : ""} ${row.cost_microdollars ? `· ${money((row.cost_microdollars / 1e6).toFixed(6))}` : ""}</p>
    ${row.full === false ? html`<p>It is another client's: whoever may give orders sees all of it.</p>` : ""}
    <ol class="story">${(row.tried ?? []).map(attempt)}</ol>
    ${row.passed?.length || row.waited ? html`<p>Nobody was asked in the end.</p>${choice(row)}` : ""}
    <p class="buttons"><code>${row.id}</code>${closing()}</p>`);
}

function attempt(one) {
  const steps = [
    one.connected === null || one.connected === undefined ? "" : `connected ${seconds(one.connected)}`,
    one.head === null ? "" : `head ${seconds(one.head)}`,
    one.first === null ? "no content" : `first content ${seconds(one.first)}`,
    one.silence ? `silent for ${seconds(one.silence)}` : "",
    `ended ${seconds(one.ended - one.began)}`,
  ];
  const well = one.fault === "none";
  return html`<li class=${well ? "home" : "trip"}>
    <b>${brief(one.target)}</b> <span class=${well ? "" : "wrong"}>${well ? "served it" : one.fault.replaceAll("_", " ")}</span>
    ${choice(one)}
    <p class="sub">${steps.filter(Boolean).join(" · ")}${one.message ? ` · “${brief(one.message, 140)}”` : ""}</p>
  </li>`;
}

/** Say by what a target was chosen, and whom it was preferred to. */
export function choice({ why, passed = [], compared = [], waited }) {
  const others = compared.filter((each) => each.wait !== null);
  return html`<p class="sub">${why ? `chosen: ${CHOSEN[why] ?? why}` : ""}${waited ? `, after a wait for ${WAITED[waited] ?? waited}` : ""}
      ${others.length > 1 ? html`· compared ${others.slice(0, 4).map((each) => `${each.target} ${seconds(each.wait)}`).join(", ")}` : ""}</p>
    ${passed.slice(0, 6).map((each) => html`<p class="sub">not ${brief(each.target)}: ${REASONS[each.reason] ?? each.reason}${each.detail ? ` (${brief(each.detail, 80)})` : ""}</p>`)}`;
}
