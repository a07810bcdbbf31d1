// The one sentence at the top, and how old what stands below it is.

import { html } from "/hud/lit-html.js";
import { span } from "./format.js";
import { big } from "./shapes.js";

const LIVELY = 4; // seconds without a word that are nothing to speak of
const STALE = 12; // seconds without a word, after which nothing here is vouched for
const GONE = 25;
const LOST = 3; // seconds for which nobody may answer, as at a restart

/** Is it well? The service says so itself; no word from it outranks its last one. */
export function judge(feed) {
  const age = feed.age();
  if (feed.refused) return { level: "unknown", parts: ["Not let in", feed.refused], age };
  if (age === Infinity) return { level: "unknown", parts: ["Looking", "waiting for the service's first word"], age };
  if (feed.lostFor() > LOST) return { level: "bad", parts: ["No answer", "the service is gone, or does not answer"], age: Math.max(age, feed.lostFor()), lost: true };
  if (age > GONE) return { level: "bad", parts: ["No answer", `the service has been silent for ${span(age)}`], age };
  if (age > STALE) return { level: "unknown", parts: ["No word", `the last one is ${span(age)} old`], age };
  const status = feed.views.status;
  const said = feed.now?.verdict ?? status?.verdict;
  if (said) return { ...said, age };
  if (!status) return { level: "unknown", parts: ["Looking"], age };
  const level = status.ready ? (status.advice.length || status.down ? "weak" : "well") : "bad";
  return { level, parts: [status.ready ? "ready" : "not ready", status.summary], age };
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function verdict({ level, parts, age }, feed) {
  const [first = "", second = "", ...rest] = parts;
  return html`
    ${big(level)}
    <div class="said">
      <h1><strong>${capital(first)}.</strong> ${second ? `${capital(second)}.` : ""}</h1>
      <p class="rest">${rest.map((part) => html`<span>${part}</span>`)}</p>
    </div>
    <p class="fresh ${age > STALE ? "old" : ""}">
      <b>exo-supervisor</b>
      <span class="pulse-dot ${feed.live && age <= LIVELY ? "live" : ""}" aria-hidden="true"></span>
      ${age === Infinity ? "no data yet" : age > LIVELY ? `data ${span(age)} old` : feed.live ? "live" : "asking every 2 s"}
    </p>`;
}

/** What is read aloud: the state and its change, and nothing that moves each second. */
export function spoken({ level, parts }) {
  const word = { well: "Well", weak: "Attention", bad: "Not serving", unknown: "Unknown" }[level];
  return `${word}: ${parts.slice(0, 2).join(", ")}`;
}

export const isStale = ({ age, lost }) => lost || age > STALE;

const ICONS = {
  well: ["1a6b42", "<circle cx='8' cy='8' r='7'/>"],
  weak: ["c06a00", "<path d='M8 1l7.5 14h-15z'/>"],
  bad: ["a8201a", "<path d='M5 1h6l4 4v6l-4 4H5l-4-4V5z'/>"],
  unknown: ["777", "<circle cx='8' cy='8' r='5' fill='none' stroke='#777' stroke-width='3'/>"],
};

/** The tab's icon: the same shape, small. */
export function icon(level) {
  const [colour, shape] = ICONS[level] ?? ICONS.unknown;
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='#${colour}'>${shape}</svg>`)}`;
}
