// The map: where a request can go, what runs there now, and what is wrong, in another shape.

import { html, svg } from "/hud/lit-html.js";
import { brief, plural } from "./format.js";
import { WORDS, mark, sign } from "./shapes.js";

const NAMED = 12; // nodes of a cluster that stand with their names; more of them are marks only
const MOST_BOXES = 14;
const ROW = 30;
const PAD = 14;
const HEAD = 34;
const GAP = 14;
const ALONE = "";

/** Say in one word how a node stands. */
export function kindOf(node) {
  if (node.was) return "down";
  if (node.rung === "seen") return "seen";
  if (node.breaker.state === "open") return "open";
  if (node.breaker.state === "half_open") return "half";
  return node.rung === "ready" ? "ready" : "wait";
}

const GRAVE = ["down", "open", "half", "seen", "wait", "ready"];

/** Group what stands at Exo by cluster, and let each cloud be a group of its own. */
export function groups(feed) {
  const nodes = feed.views.nodes?.nodes ?? [];
  const running = load(feed);
  const byCluster = new Map();
  for (const node of nodes) {
    const key = node.cluster ?? ALONE;
    if (!byCluster.has(key)) byCluster.set(key, { key, side: "exo", marks: [], running: 0 });
    const group = byCluster.get(key);
    group.marks.push({ id: node.id, kind: kindOf(node), running: running.get(node.id) ?? 0 });
    group.running += running.get(node.id) ?? 0;
  }
  for (const group of byCluster.values()) {
    group.marks.sort((a, b) => GRAVE.indexOf(a.kind) - GRAVE.indexOf(b.kind));
    group.title = group.key === ALONE ? "no cluster" : "Exo cluster";
    group.told = tally(group.marks);
  }
  const exo = [...byCluster.values()].sort((a, b) => worst(a) - worst(b));
  return [...fitted(exo), ...clouds(feed, running)];
}

function fitted(exo) {
  if (exo.length <= MOST_BOXES) return exo;
  const rest = exo.slice(MOST_BOXES - 1);
  const marks = rest.flatMap((group) => group.marks);
  const running = rest.reduce((sum, group) => sum + group.running, 0);
  const more = { key: "…", side: "exo", title: plural(rest.length, "further cluster"), marks, running };
  return [...exo.slice(0, MOST_BOXES - 1), { ...more, told: tally(marks) }];
}

function clouds(feed, running) {
  const breakers = feed.views.breakers?.breakers ?? [];
  return (feed.views.status?.providers ?? []).map((provider) => {
    const own = breakers.filter((row) => row.target === provider.name);
    const state = own.find((row) => row.model === null)?.state;
    let kind = provider.state === "ready" ? "ready" : provider.state === "unknown" ? "wait" : "down";
    if (state === "open") kind = "open";
    if (state === "half_open") kind = "half";
    const part = own.filter((row) => row.model !== null && row.state !== "closed").length;
    const told = kind === "ready" && part ? `${plural(part, "model")} held back` : provider.why ?? WORDS[kind];
    const now = running.get(provider.name) ?? 0;
    const marks = [{ id: provider.name, kind, running: now }];
    return { key: provider.name, side: "cloud", title: "cloud", marks, running: now, told };
  });
}

function load(feed) {
  const running = new Map();
  for (const row of feed.views.requests?.requests ?? []) {
    if (row.target) running.set(row.target, (running.get(row.target) ?? 0) + 1);
  }
  return running;
}

const worst = (group) => GRAVE.indexOf(group.marks[0].kind);

function tally(marks) {
  const counts = new Map();
  for (const { kind } of marks) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return GRAVE.filter((kind) => counts.has(kind))
    .map((kind) => `${counts.get(kind)} ${WORDS[kind]}`)
    .join(", ");
}

/** Lay the groups out in columns, from the hub on the left, or on top where it is narrow. */
function laid(all, width) {
  const narrow = width < 620;
  const left = narrow ? 0 : 150;
  const top = narrow ? 92 : 0;
  const columns = Math.max(1, Math.min(all.length, Math.floor((width - left + GAP) / 290)));
  const each = (width - left - GAP * (columns - 1)) / columns;
  const ends = Array(columns).fill(top);
  const boxes = all.map((group) => {
    const column = ends.indexOf(Math.min(...ends));
    const perRow = Math.max(1, Math.floor((each - 2 * PAD + 6) / 18));
    const dense = group.marks.length > NAMED;
    const rows = dense ? Math.ceil(group.marks.length / perRow) * 18 : group.marks.length * ROW;
    const box = { group, x: left + column * (each + GAP), y: ends[column], w: each, h: HEAD + rows + PAD, dense, perRow };
    ends[column] += box.h + GAP;
    return box;
  });
  const height = Math.max(...ends) - GAP;
  const hub = narrow ? { x: width / 2, y: 34 } : { x: 52, y: Math.max(60, height / 2) };
  return { boxes, hub, narrow, height: Math.max(height, narrow ? 90 : 120) };
}

export function map(feed, width) {
  const all = groups(feed);
  const running = all.reduce((sum, group) => sum + group.running, 0);
  const kinds = [...new Set(all.flatMap((group) => group.marks.map((one) => one.kind)))];
  const said = all.map((group) => `${group.side === "cloud" ? `cloud ${group.key}` : group.title}: ${group.told}`);
  return html`
    <div class="head">
      <h2 id="map-title">Where requests go</h2>
      <ul class="legend">
        ${GRAVE.toReversed().filter((kind) => kinds.includes(kind)).map((kind) => html`<li>${sign(kind, "")} ${WORDS[kind]}</li>`)}
      </ul>
    </div>
    ${all.length
      ? drawing(laid(all, Math.max(240, width)), Math.max(240, width), running, `Map. ${said.slice(0, 20).join(". ")}`)
      : html`<p class="quiet">No node was found yet, and no cloud is configured.</p>`}`;
}

function drawing({ boxes, hub, narrow, height }, width, running, label) {
  return html`<svg class="drawing" viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} role="img" aria-label=${label}>
    ${boxes.map((box) => line(box, hub, narrow))}
    ${boxes.map(drawnBox)}
    <g class="hub ${running ? "busy" : ""}">
      <circle cx=${hub.x} cy=${hub.y} r="30"></circle>
      <text x=${hub.x} y=${hub.y + 7} class="count">${running}</text>
      <text x=${hub.x} y=${hub.y + 48} class="caption">${narrow ? "" : "running now"}</text>
    </g>
  </svg>`;
}

function line({ group, x, y, w }, hub, narrow) {
  const [toX, toY] = narrow ? [x + Math.min(w / 2, 30), y] : [x, y + HEAD / 2 + 4];
  const path = narrow
    ? `M${hub.x} ${hub.y + 30}C${hub.x} ${toY - 10} ${toX} ${hub.y + 40} ${toX} ${toY}`
    : `M${hub.x + 30} ${hub.y}C${hub.x + 80} ${hub.y} ${toX - 60} ${toY} ${toX} ${toY}`;
  const state = group.running ? "busy" : "idle";
  return svg`<path class="line ${state} ${group.side}" d=${path} stroke-width=${group.running ? Math.min(2 + group.running, 9) : 1}></path>`;
}

function drawnBox({ group, x, y, w, h, dense, perRow }) {
  const room = Math.floor((w - 2 * PAD) / 7.4);
  const title = group.side === "cloud" ? group.key : group.title;
  return svg`<g class="box ${group.side} ${group.marks.some((one) => one.kind === "down" || one.kind === "open") ? "hurt" : ""}">
    <title>${`${group.key} ${group.told}`}</title>
    <rect x=${x + 0.5} y=${y + 0.5} width=${w - 1} height=${h - 1} rx=${group.side === "cloud" ? 20 : 8}></rect>
    <text x=${x + PAD} y=${y + 22} class="title">${brief(title, 24)}</text>
    <text x=${x + w - PAD} y=${y + 22} class="told">${dense ? brief(group.told, room - title.length - 2) : group.running ? `${group.running} running` : ""}</text>
    ${group.marks.map((one, at) =>
      dense
        ? mark(one.kind, x + PAD + 6 + (at % perRow) * 18, y + HEAD + 8 + Math.floor(at / perRow) * 18, 6)
        : named(one, group, x + PAD + 8, y + HEAD + 12 + at * ROW, room),
    )}
  </g>`;
}

function named(one, group, x, y, room) {
  const side = group.side === "cloud" ? group.told : one.id;
  const state = group.side === "cloud" || one.kind === "ready" ? "" : WORDS[one.kind];
  const busy = one.running ? ` · ${one.running}` : "";
  return svg`${mark(one.kind, x, y, 8)}
    <text x=${x + 20} y=${y + 5} class="name">${brief(side, room - 4 - state.length)}${busy}</text>
    <text x=${x + (room - 1) * 7.4 - 8} y=${y + 5} class="told">${state}</text>`;
}
