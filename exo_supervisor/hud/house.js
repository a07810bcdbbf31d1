// The nodes on their ladder, the models, and the clouds; each with what may be ordered of it.

import { html } from "/hud/lit-html.js";
import { brief, bytes, clock, count, plural } from "./format.js";
import { kindOf } from "./map.js";
import { WORDS, sign } from "./shapes.js";

const RUNGS = ["seen", "reachable", "identified", "clustered", "placed", "ready"];
const OF_A = ["seen", "reachable", "identified", "ready"]; // generation A has no cluster
const PAGE = 40;
const GRAVE = ["down", "open", "half", "seen", "wait", "ready"];

const quiet = (text) => html`<p class="quiet">${text}</p>`;
const act = (label, what, order) =>
  html`<button type="button" class="act" aria-label=${`Orders for ${what}`} @click=${order}>${label}</button>`;

/** The ladder: how far each node is, why no further, and what to do. */
export function nodes(feed, ui) {
  const all = feed.views.nodes?.nodes ?? [];
  const counts = feed.now?.nodes ?? feed.views.status?.nodes ?? {};
  const wanted = ui.filter.toLowerCase();
  const fits = (node) => !wanted || `${node.id} ${node.cluster} ${node.models.map((one) => one.id)}`.toLowerCase().includes(wanted);
  const found = all
    .filter(fits)
    .map((node) => ({ node, kind: kindOf(node) }))
    .sort((a, b) => GRAVE.indexOf(a.kind) - GRAVE.indexOf(b.kind));
  return html`
    <div class="head">
      <h2 id="nodes-title">Nodes</h2>
      <ol class="rungs" aria-label="Nodes on each rung">
        ${RUNGS.map((rung) => html`<li class=${counts[rung] ? "some" : ""}><b>${count(counts[rung] ?? 0)}</b> ${rung}</li>`)}
      </ol>
      ${all.length > 8
        ? html`<input type="search" placeholder="Filter nodes" aria-label="Filter nodes" .value=${ui.filter}
            @input=${(event) => ui.set({ filter: event.target.value, shown: PAGE })}>`
        : ""}
    </div>
    ${all.length ? "" : quiet("No node was found yet. Start Exo on this network, or name one in discovery.static.")}
    <ul class="nodes">${found.slice(0, ui.shown).map((one) => nodeRow(one, ui))}</ul>
    ${found.length > ui.shown
      ? html`<button type="button" @click=${() => ui.set({ shown: ui.shown + PAGE })}>Show more of ${count(found.length)}</button>`
      : ""}`;
}

function nodeRow({ node, kind }, ui) {
  const ready = node.models.filter((one) => one.ready).map((one) => one.id);
  const facts = [
    node.generation ? `Exo ${node.version ?? ""} (${node.generation})` : null,
    node.trust === "found" ? "found, not trusted" : `trusted: ${node.trust}`,
    node.capacity?.chip,
    `${WORDS[kind]} since ${clock(node.since)}`,
    `heard by ${node.sources.join(", ")}`,
  ];
  return html`<li class=${kind}>
    <span class="who">${sign(kind)} <b>${brief(node.id, 46)}</b></span>
    ${ladder(node)}
    ${memory(node.capacity)}
    <span class="facts">${facts.filter(Boolean).join(" · ")}</span>
    ${ready.length ? html`<span class="serves">serves ${brief(ready.slice(0, 3).join(", "), 90)}${ready.length > 3 ? ` and ${ready.length - 3} more` : ""}</span>` : ""}
    ${node.why ? html`<span class="why">${node.why}</span>` : ""}
    ${node.advice ? html`<span class="todo">${node.advice}</span>` : ""}
    ${act("Orders", node.id, () => ui.order({ kind: "node", node }))}
  </li>`;
}

function ladder(node) {
  const steps = node.generation === "A" ? OF_A : RUNGS;
  const at = steps.indexOf(node.rung);
  return html`<span class="ladder" role="img" aria-label=${`${node.rung}: rung ${at + 1} of ${steps.length}`}>
    ${steps.map((_, step) => html`<i class=${step <= at ? "on" : ""}></i>`)}<span aria-hidden="true">${node.rung}</span>
  </span>`;
}

function memory(capacity) {
  if (!capacity?.memory_total) return html`<span></span>`;
  const free = capacity.memory_available;
  if (free === null) return html`<span class="memory">${bytes(capacity.memory_total)} of memory</span>`;
  const used = capacity.memory_total - free;
  const heat = capacity.temperature ? `, ${Math.round(capacity.temperature)} °C` : "";
  const watts = capacity.power ? `, ${Math.round(capacity.power)} W` : "";
  return html`<span class="memory">
    <meter max=${capacity.memory_total} value=${used} aria-label="memory in use"></meter>
    ${bytes(free)} free of ${bytes(capacity.memory_total)}${heat}${watts}
  </span>`;
}

const MODEL_MARKS = { ready: "ready", cloud: "ready", loading: "wait", placed: "wait", downloaded: "wait", failed: "down", down: "down" };

/** The models: where each stands, and how far it is on its way. */
export function models(feed, ui) {
  const rows = (feed.views.models?.models ?? []).filter((row) => !row.alias_of);
  rows.sort((a, b) => Object.keys(MODEL_MARKS).indexOf(a.state) - Object.keys(MODEL_MARKS).indexOf(b.state));
  return html`
    <div class="head"><h2 id="models-title">Models</h2>
      <button type="button" @click=${() => ui.order({ kind: "place" })}>Place a model</button></div>
    ${rows.length
      ? html`<ul class="rows">${rows.slice(0, ui.models).map((row) => modelRow(row, ui))}</ul>
          ${rows.length > ui.models ? html`<button type="button" @click=${() => ui.set({ models: ui.models + PAGE })}>Show more of ${count(rows.length)}</button>` : ""}`
      : quiet("No model is known yet.")}`;
}

function modelRow(row, ui) {
  const ready = row.where.filter((place) => place.ready);
  const why = row.placement?.why ?? row.why ?? row.where.find((place) => !place.ready && place.why)?.why;
  const progress = row.where.find((place) => place.progress)?.progress;
  const at = ready.length ? ready.slice(0, 3).map((place) => place.target).join(", ") : why ?? "nowhere";
  const placing = row.placement ? row.placement.state.replaceAll("_", " ") : "";
  return html`<li>
    <span class="main">${sign(MODEL_MARKS[row.state] ?? "wait", row.state)} <b>${brief(row.id, 44)}</b></span>
    ${act("Orders", row.id, () => ui.order({ kind: "model", row }))}
    <span class="sub">${[row.state === "cloud" ? "cloud only" : row.state, progress, placing].filter(Boolean).join(" · ")} · ${brief(at, 70)}${ready.length > 3 ? ` and ${ready.length - 3} more` : ""}</span>
  </li>`;
}

/** The clouds: whether each may be asked, its key (never shown), and its breakers. */
export function clouds(feed, ui) {
  const providers = feed.views.status?.providers ?? [];
  const config = feed.views.config ?? {};
  const rows = feed.views.models?.models ?? [];
  const breakers = feed.views.breakers?.breakers ?? [];
  return html`
    <h2 id="clouds-title">Clouds and breakers</h2>
    ${providers.length
      ? html`<ul class="rows">${providers.map((each) => cloudRow(each, config, breakers, rows, ui))}</ul>`
      : quiet("No provider is configured: nothing can leave the house.")}
    ${notClosed(breakers, providers, ui)}`;
}

function cloudRow(provider, { keys = {}, config }, breakers, models, ui) {
  const hosts = config?.providers ?? [];
  const breaker = breakers.find((row) => row.target === provider.name && row.model === null);
  const origin = keys[provider.name];
  const places = models.filter((row) => row.where.some((place) => place.target === provider.name)).length;
  const where = hosts.find((each) => each.name === provider.name)?.base_url;
  const key = origin ? (provider.keys > 1 ? `${provider.keys} keys set` : "key set") : origin === undefined ? "" : "key not set";
  const kind = breaker?.state === "open" ? "open" : breaker?.state === "half_open" ? "half" : provider.state === "ready" ? "ready" : provider.state === "unknown" ? "wait" : "down";
  return html`<li>
    <span class="main">${sign(kind)} <b>${brief(provider.name)}</b> <span class="to">${provider.state.replaceAll("_", " ")}</span></span>
    ${act("Orders", provider.name, () => ui.order({ kind: "cloud", target: provider.name, breaker }))}
    <span class="sub">${[key, where && new URL(where).host, places ? plural(places, "model") : "", provider.refused.length ? `${plural(provider.refused.length, "key")} refused` : "", provider.why].filter(Boolean).join(" · ")}</span>
  </li>`;
}

function notClosed(breakers, providers, ui) {
  const rows = breakers.filter((row) => row.state !== "closed" || row.forced);
  if (!rows.length) return quiet(`All ${plural(breakers.length, "breaker")} are closed.`);
  return html`<h3>Breakers that are not closed</h3>
    <ul class="rows">${rows.slice(0, PAGE).map(
      (row) => html`<li>
        <span class="main">${sign(row.state === "open" ? "open" : row.state === "half_open" ? "half" : "ready", row.state)}
          <b>${brief(row.target)}</b> <span class="to">${row.model ? brief(row.model) : ""}</span></span>
        ${act("Orders", `${row.target} ${row.model ?? ""}`, () => ui.order({ kind: "cloud", target: row.target, model: row.model, breaker: row }))}
        <span class="sub">${row.state.replaceAll("_", " ")}${row.forced ? ", held by an operator" : `: ${row.reason.replaceAll("_", " ")}`}${row.until ? ` · until ${clock(row.until, { seconds: true })}` : ""}${row.last ? ` · last ${brief(row.last, 60)}` : ""}</span>
      </li>`,
    )}</ul>`;
}
