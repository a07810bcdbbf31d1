// Money, savings, and what left the house today. All sums are the service's own.

import { html } from "/hud/lit-html.js";
import { brief, bytes, count, money, plural } from "./format.js";

export function books(feed) {
  const today = new Date().toISOString().slice(0, 10);
  const left = (feed.views.egress?.days ?? []).filter((row) => row.day === today);
  const size = feed.now?.today?.egress_bytes ?? left.reduce((sum, row) => sum + row.bytes, 0);
  const sent = feed.now?.today?.to_cloud ?? left.reduce((sum, row) => sum + row.requests, 0);
  const { ledger } = feed.views;
  return html`
    <h2 id="books-title">Today</h2>
    <dl class="figures">
      ${figure("Spent", ledger && money(ledger.total.cost, ledger.currency), "to clouds")}
      ${figure("Saved", ledger && money(ledger.total.saved, ledger.currency), "against the reference model")}
      ${figure("Power", ledger && money(ledger.total.local_cost, ledger.currency), "for Exo's answers")}
      ${figure("Left the house", bytes(size), plural(sent, "request"))}
    </dl>
    ${ledger ? accounts(ledger) : html`<p class="quiet">${feed.missing.has("ledger") ? "This service keeps no ledger." : "The ledger was not read yet."}</p>`}
    ${clients(feed.views.clients?.clients ?? [], left)}`;
}

function figure(name, value, told) {
  return html`<div><dt>${name}</dt><dd><b>${value ?? "–"}</b> <span>${told}</span></dd></div>`;
}

function accounts({ rows, currency, by }) {
  if (!rows.length) return html`<p class="quiet">Nothing was booked today.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Booked today"><table>
    <thead><tr><th scope="col">${by}</th><th scope="col">requests</th><th scope="col">tokens in</th><th scope="col">out</th><th scope="col">cost</th><th scope="col">saved</th></tr></thead>
    <tbody>${rows.slice(0, 12).map(
      (row) => html`<tr><th scope="row">${brief(row.key)}</th><td>${count(row.requests)}</td><td>${count(row.prompt_tokens)}</td>
        <td>${count(row.completion_tokens)}</td><td>${money(row.cost, currency)}</td><td>${money(row.saved, currency)}</td></tr>`,
    )}</tbody>
  </table></div>`;
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
