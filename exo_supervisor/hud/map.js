// The map: where a request can go, what runs there now, and what is wrong, in another shape.

import { html, svg } from "/hud/lit-html.js";
import { brief, plural } from "./format.js";
import { WORDS, mark, sign } from "./shapes.js";

const NAMED = 12; // nodes of a cluster that stand with their names; more of them are marks only
const MOST_BOXES = 8;
const ROW = 28;
const PAD = 15;
const HEAD = 34;
const GAP = 12;
const TRUNK = 34; // what the lines take on the left, where it is narrow
const CHAR = 7.4; // pixels that a character takes, about
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
  const held = (feed.views.breakers?.breakers ?? []).filter((row) => row.model !== null && row.state !== "closed");
  for (const group of byCluster.values()) {
    group.held = heldBack(held.filter((row) => row.target === group.key || group.marks.some((one) => one.id === row.target)).length);
    group.marks.sort((a, b) => GRAVE.indexOf(a.kind) - GRAVE.indexOf(b.kind));
    group.title = group.key === ALONE ? "no cluster" : "Exo cluster";
    group.told = tally(group.marks);
  }
  const exo = [...byCluster.values()].sort((a, b) => worst(a) - worst(b));
  return [...fitted(exo), ...clouds(feed, running)];
}

const heldBack = (models) => (models ? `${plural(models, "model")} held back` : "");

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
    const told = (kind === "ready" && heldBack(part)) || (provider.why ?? WORDS[kind]);
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

/**
 * Lay the groups out: the house on the left, the clouds on the right, and the hub between them. Where
 * it is narrow the hub stands on top, and one trunk leads down to all.
 */
function laid(all, width) {
  const narrow = width < 620;
  const column = narrow ? width - TRUNK : Math.min(400, (width - 190) / 2);
  const ends = { exo: narrow ? 76 : 0, cloud: narrow ? 76 : 0 };
  const boxes = all.map((group) => {
    const { side } = group;
    const box = { group, x: narrow ? TRUNK : side === "exo" ? 0 : width - column, y: ends[side], w: column, ...sized(group, column) };
    ends[side] += box.h + GAP;
    if (narrow) ends.exo = ends.cloud = Math.max(ends.exo, ends.cloud);
    return box;
  });
  const height = Math.max(ends.exo, ends.cloud, 90 + GAP) - GAP;
  if (!narrow) center(boxes, ends, height);
  return { boxes, height, narrow, hub: narrow ? { x: 32, y: 33 } : { x: width / 2, y: height / 2 } };
}

function sized({ marks }, column) {
  const single = marks.length === 1;
  const dense = marks.length > NAMED;
  const perRow = Math.max(1, Math.floor((column - 2 * PAD + 6) / 18));
  const rows = dense ? Math.ceil(marks.length / perRow) * 18 : marks.length * ROW;
  return { single, dense, perRow, h: single ? 46 : HEAD + rows + PAD - 4 };
}

function center(boxes, ends, height) {
  for (const box of boxes) box.y += (height + GAP - ends[box.group.side]) / 2;
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
      <circle cx=${hub.x} cy=${hub.y} r=${narrow ? 26 : 30}></circle>
      <text x=${hub.x} y=${hub.y + 7} class="count">${running}</text>
      <text x=${narrow ? hub.x + 42 : hub.x} y=${narrow ? hub.y + 5 : hub.y + 50} class="caption ${narrow ? "beside" : ""}">running now</text>
    </g>
  </svg>`;
}

function line({ group, x, y, w, h }, hub, narrow) {
  const [toX, toY] = [group.side === "exo" || narrow ? x + (narrow ? 0 : w) : x, y + (narrow ? Math.min(h / 2, 24) : h / 2)];
  const away = Math.sign(toX - hub.x) * 30;
  const path = narrow
    ? `M14 ${hub.y}V${toY - 10}Q14 ${toY} ${toX} ${toY}`
    : `M${hub.x + away} ${hub.y}C${hub.x + away * 2} ${hub.y} ${toX - away * 1.5} ${toY} ${toX} ${toY}`;
  const flow = svg`<path class="line busy ${group.side}" d=${path} stroke-width=${Math.min(2 + group.running, 9)}></path>`;
  return svg`<path class="line" d=${path}></path>${group.running ? flow : ""}`;
}

function drawnBox({ group, x, y, w, h, single, dense, perRow }) {
  const { marks, side, told } = group;
  const room = Math.floor((w - 2 * PAD - 24) / CHAR);
  const hurt = Boolean(group.held) || marks.some((one) => one.kind === "down" || one.kind === "open");
  const title = `${group.title}, ${plural(marks.length, "node")}`;
  const inside = dense
    ? marks.map((one, at) => mark(one.kind, x + PAD + 6 + (at % perRow) * 18, y + HEAD + 8 + Math.floor(at / perRow) * 18, 6))
    : marks.map((one, at) => named(one, group, x + PAD + 8, y + (single ? h / 2 : HEAD + 12 + at * ROW), w, room));
  return svg`<g class="box ${side} ${hurt ? "hurt" : ""}">
    <title>${`${group.key} ${told}`}</title>
    <rect x=${x + 0.75} y=${y + 0.75} width=${w - 1.5} height=${h - 1.5} rx=${side === "cloud" ? 22 : 9}></rect>
    ${single ? "" : svg`<text x=${x + PAD} y=${y + 22} class="title">${title}</text>
      <text x=${x + w - PAD} y=${y + 22} class="told">${brief(group.held || (dense ? told : ""), room - title.length)}</text>`}
    ${inside}
  </g>`;
}

function named(one, group, x, y, w, room) {
  const state = one.running ? `${one.running} running` : group.side === "cloud" ? brief(group.told, 26) : one.kind === "ready" ? (group.marks.length === 1 ? group.held : "") : WORDS[one.kind];
  return svg`${mark(one.kind, x, y, 8)}
    <text x=${x + 19} y=${y + 5} class="name">${brief(one.id, Math.max(16, room - state.length - 1))}</text>
    <text x=${x - 8 + w - 2 * PAD} y=${y + 5} class="told">${state}</text>`;
}
