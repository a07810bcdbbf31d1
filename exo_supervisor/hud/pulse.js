// Four lines of the last minutes: first content, tokens a second, what runs, what waits.

import { html, svg } from "/hud/lit-html.js";
import { count, seconds } from "./format.js";

const KEPT = 120; // seconds, and answers
const WIDTH = 220;
const HEIGHT = 44;

/** Keeps what the lines are drawn from; `tick` is called once a second. */
export class Pulse {
  constructor() {
    this.first = { exo: [], cloud: [] }; // of the last answers
    this.rate = { exo: [], cloud: [] };
    this.running = [];
    this.waiting = [];
  }

  answered(line) {
    if (line.ttft === null || line.ttft === undefined || !line.target) return;
    const side = line.target.includes(":") || line.local ? "exo" : "cloud";
    add(this.first[side], line.ttft);
  }

  tick(feed) {
    const now = feed.now;
    const rows = feed.views.requests?.requests ?? [];
    const waiting = now?.waiting ?? rows.filter((row) => row.state === "waiting").length;
    add(this.running, now?.running ?? rows.length - waiting);
    add(this.waiting, waiting);
    for (const side of ["exo", "cloud"]) add(this.rate[side], now?.tokens_per_second?.[side] ?? 0);
  }
}

function add(line, value) {
  line.push(value);
  if (line.length > KEPT) line.shift();
}

export function pulse({ first, rate, running, waiting }) {
  const last = (line) => line.at(-1);
  const sum = (last(rate.exo) ?? 0) + (last(rate.cloud) ?? 0);
  const quickest = [...first.exo, ...first.cloud];
  return html`
    <h2 id="pulse-title" class="unseen">The last two minutes</h2>
    <div class="sparks">
      ${spark("First content", quickest.length ? seconds(median(quickest)) : "–", quickest.length ? `median of ${quickest.length} answers` : "no answer yet", first.exo, first.cloud)}
      ${spark("Tokens a second", count(Math.round(sum)), `Exo ${count(Math.round(last(rate.exo) ?? 0))}, cloud ${count(Math.round(last(rate.cloud) ?? 0))}`, rate.exo, rate.cloud)}
      ${spark("Running", count(last(running) ?? 0), `most ${count(Math.max(0, ...running))}`, running)}
      ${spark("Waiting", count(last(waiting) ?? 0), `most ${count(Math.max(0, ...waiting))}`, waiting)}
    </div>`;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function spark(name, figure, told, line, other = []) {
  const most = Math.max(...line, ...other, 1e-9);
  return html`<div class="spark">
    <h3>${name}</h3>
    <p class="figure">${figure}</p>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      ${drawn(line, most, "exo")}${drawn(other, most, "cloud")}
    </svg>
    <p class="sub">${told}</p>
  </div>`;
}

function drawn(values, most, side) {
  if (!values.length) return "";
  const step = WIDTH / (KEPT - 1);
  const begin = WIDTH - (values.length - 1) * step;
  const points = values.map((value, at) => `${(begin + at * step).toFixed(1)} ${(HEIGHT - 2 - (value / most) * (HEIGHT - 6)).toFixed(1)}`);
  const path = values.length === 1 ? `M${points[0]}h.1` : `M${points.join("L")}`;
  return svg`<path class=${`trace ${side}`} d=${path}></path>`;
}
