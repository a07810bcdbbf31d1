// What is wrong has another shape, not only another colour.

import { html, svg } from "/hud/lit-html.js";

/** One mark around (x, y), `r` in size; `kind` is also its class. */
export function mark(kind, x, y, r) {
  return svg`<g class="mark ${kind}">${drawn(kind, x, y, r)}</g>`;
}

function drawn(kind, x, y, r) {
  switch (kind) {
    case "ready":
      return svg`<circle cx=${x} cy=${y} r=${r}></circle>`;
    case "down":
      return svg`<path d=${`M${x} ${y - r * 1.15}L${x + r * 1.2} ${y + r * 0.95}H${x - r * 1.2}Z`}></path>
        <path class="sign" d=${`M${x} ${y - r * 0.35}V${y + r * 0.25}M${x} ${y + r * 0.6}v.1`}></path>`;
    case "open":
      return svg`<rect x=${x - r} y=${y - r} width=${2 * r} height=${2 * r} rx=${r / 4}></rect>
        <path class="sign" d=${`M${x - r * 0.55} ${y}H${x + r * 0.55}`}></path>`;
    case "half":
      return svg`<rect class="hollow" x=${x - r} y=${y - r} width=${2 * r} height=${2 * r} rx=${r / 4}></rect>
        <path class="fill" d=${`M${x - r} ${y}H${x + r}V${y + r}H${x - r}Z`}></path>`;
    case "wait":
      return svg`<circle class="hollow" cx=${x} cy=${y} r=${r * 0.85}></circle>
        <circle class="fill" cx=${x} cy=${y} r=${r * 0.3}></circle>`;
    default:
      return svg`<circle class="hollow dotted" cx=${x} cy=${y} r=${r * 0.85}></circle>`;
  }
}

export const WORDS = {
  ready: "ready",
  wait: "on its way",
  down: "down",
  open: "breaker open",
  half: "breaker half open",
  seen: "only seen",
};

/** A mark by itself, in a line of text. */
export function sign(kind, label = WORDS[kind]) {
  const drawing = mark(kind, 0, 0, 7);
  return label
    ? html`<svg class="sign-box" viewBox="-10 -10 20 20" role="img" aria-label=${label}>${drawing}</svg>`
    : html`<svg class="sign-box" viewBox="-10 -10 20 20" aria-hidden="true">${drawing}</svg>`;
}

/** The shape at the top, to be told from across a room. */
export function big(level) {
  return html`<svg class="big" viewBox="0 0 96 96" aria-hidden="true">${BIG[level] ?? BIG.unknown}</svg>`;
}

const BIG = {
  well: svg`<circle cx="48" cy="48" r="42"></circle><path class="sign" d="M28 49l14 14 27-29"></path>`,
  weak: svg`<path d="M48 7 92 86H4Z" stroke-linejoin="round"></path><path class="sign" d="M48 36v24m0 12v.2"></path>`,
  bad: svg`<path d="M31 5h34l26 26v34L65 91H31L5 65V31Z" stroke-linejoin="round"></path><path class="sign" d="M33 33l30 30m0-30L33 63"></path>`,
  unknown: svg`<circle class="hollow" cx="48" cy="48" r="40"></circle><path class="sign ink" d="M37 38a11 11 0 1 1 16 10c-4 2-5 4-5 8m0 13v.2"></path>`,
};
