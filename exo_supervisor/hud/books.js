// Money, savings, and what left the house today. All sums are the service's own.

import { html } from "/hud/lit-html.js";
import { brief, bytes, count, money, plural } from "./format.js";
import { sign } from "./shapes.js";

export function books(feed) {
  const { config } = feed.views.config ?? {};
  const zone = config?.budget?.time_zone ?? "UTC";
  const today = new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(new Date());
  const left = (feed.views.egress?.days ?? []).filter((row) => row.day === today);
  const size = feed.now?.today?.egress_bytes ?? left.reduce((sum, row) => sum + row.bytes, 0);
  const sent = feed.now?.today?.to_cloud ?? left.reduce((sum, row) => sum + row.requests, 0);
  const { ledger } = feed.views;
  const day = zone === "UTC" ? "" : ", in UTC's day";
  const of = (name) => ledger && money(ledger.total[name], ledger.currency);
  return html`
    <h2 id="books-title">Today</h2>
    <dl class="figures">
      ${figure("Spent", of("cost"), `to clouds${day}`)}
      ${figure("Saved", of("saved"), config?.ledger?.reference ? `against ${brief(config.ledger.reference.split("/").at(-1), 26)}` : "no reference model is set")}
      ${figure("Energy", of("local_cost"), `of Exo's answers${day}`)}
      ${figure("Left the house", bytes(size), plural(sent, "request"))}
    </dl>
    ${budgets(feed.views.status?.budgets ?? [])}
    ${ledger ? accounts(ledger) : html`<p class="quiet">${feed.missing.get("ledger") ?? "The ledger was not read yet."}</p>`}
    ${clients(feed.views.clients?.clients ?? [], left)}`;
}

/** What may be spent; what is held for attempts under way counts as spent. */
function budgets(rows) {
  return html`<ul class="budgets">${rows.slice(0, 12).map((row) => {
    const [limit, spent] = [Number(row.limit), Number(row.spent) + Number(row.held)];
    const share = limit ? spent / limit : 1;
    const level = share >= 0.95 ? "bad" : share >= 0.8 ? "weak" : "well";
    const whose = row.name ? `${row.scope} ${brief(row.name, 30)}` : row.scope;
    if (row.why) return html`<li class="bad"><span>${sign("open", "")} Budget of ${whose}, ${row.span}: nobody knows what is spent, so no cloud is asked</span></li>`;
    return html`<li class=${level}>
      <span>${sign({ bad: "open", weak: "half", well: "ready" }[level], "")} Budget of ${whose}, ${row.span}</span>
      <span class="side">${money(row.spent, row.currency)} of ${money(row.limit, row.currency)}, ${Math.round(share * 100)} %</span>
      <progress max="1" value=${Math.min(1, share)} aria-label=${`Budget of ${whose}, ${row.span}`}></progress>
    </li>`;
  })}</ul>`;
}

function figure(name, value, told) {
  return html`<div><dt>${name}</dt><dd><b>${value ?? "–"}</b> <span>${told}</span></dd></div>`;
}

function accounts({ rows, currency, by, total, stopped, others = [] }) {
  if (stopped) return html`<p class="wrong">Booking has stopped: ${stopped}</p>`;
  if (!rows.length && others.length) return html`<p class="quiet">What was booked today is in ${others.join(", ")}, and added to nothing here.</p>`;
  if (!rows.length) return html`<p class="quiet">Nothing was booked today.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Booked today"><table>
    <thead><tr><th scope="col">${by}</th><th scope="col">requests</th><th scope="col">tokens in</th><th scope="col">out</th><th scope="col">cost</th><th scope="col">saved</th></tr></thead>
    <tbody>${rows.slice(0, 12).map(
      (row) => html`<tr><th scope="row">${brief(row.key)}</th><td>${count(row.requests)}</td><td>${count(row.prompt_tokens)}</td>
        <td>${count(row.completion_tokens)}</td><td>${money(row.cost, currency)}</td><td>${money(row.saved, currency)}</td></tr>`,
    )}</tbody>
  </table></div>
  ${total.unpriced ? html`<p class="quiet">Of ${plural(total.unpriced, "attempt")} nobody knows the price.</p>` : ""}`;
}

function clients(rows, left) {
  const used = rows.filter((row) => row.requests || rows.length === 1);
  if (!used.length) return "";
  const out = (name) => left.filter((row) => row.client === name).reduce((sum, row) => sum + row.bytes, 0);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Clients today"><table>
    <thead><tr><th scope="col">client</th><th scope="col">requests</th><th scope="col">tokens in</th><th scope="col">out</th><th scope="col">left the house</th><th scope="col">privacy</th></tr></thead>
    <tbody>${used.slice(0, 20).map(
      (row) => html`<tr><th scope="row">${brief(row.name)}</th><td>${count(row.requests)}</td><td>${count(row.prompt_tokens)}</td>
        <td>${count(row.completion_tokens)}</td><td>${bytes(out(row.name))}</td><td>${row.privacy || "–"}</td></tr>`,
    )}</tbody>
  </table></div>`;
}
