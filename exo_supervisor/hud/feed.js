// What the page knows of the house: views that are asked for, and events that say when to ask.

import { look } from "./session.js";

// Seconds after which a view is asked for again although no event said so.
const EVERY = {
  status: 5, nodes: 10, models: 10, breakers: 10, requests: 5, shifts: 20,
  ledger: 15, egress: 30, clients: 30, config: 300,
};
const PATHS = { requests: "requests?last=20", ledger: "ledger?by=target&since=today" };
const BUSY = 1; // seconds between two looks at what is running
const LIVELY = 2; // seconds, where there are no events
const SOONEST = 0.4;
const SUMS = 3; // seconds between two looks at sums, at least
const LEAST = { ledger: SUMS, egress: SUMS, clients: SUMS };
const GENTLE = 8; // a view that costs much is asked for less often,
const SLOWEST = 1.2; // but not so seldom that what happened is seen late
const EVENTS_KEPT = 60;
const UNREACHED = [0, 502]; // nobody there, or nobody behind what brings us there
const QUIET = 40; // seconds without even a keep-alive, after which the stream is dead

// Which views an event's name makes old.
const TOUCHED = [
  [/^(node|cluster|ghost|twin|runner)/, ["nodes", "status"]],
  [/^(model|placement|surplus)/, ["models", "nodes", "status"]],
  [/^breaker/, ["breakers", "nodes", "status"]],
  [/^(provider|price)/, ["status", "breakers"]],
  [/^(budget|ledger)/, ["status", "ledger"]],
  [/^traffic_shifted/, ["shifts", "status"]],
  [/^request_started/, ["requests"]],
  [/^request_done/, ["requests", "ledger", "egress", "clients"]],
  [/^(order_given|lagged)/, ["nodes", "models", "breakers", "status"]],
];

export class Feed {
  constructor(changed) {
    this.changed = changed;
    this.views = {}; // name -> body
    this.missing = new Map(); // views that this service does not have, and why
    this.refused = null; // why we are not let in
    this.lost = null; // since when nobody answers
    this.heard = 0; // when anything came last, by performance.now()
    this.live = false; // events come
    this.now = null; // the last `now`
    this.events = [];
    this.last = {}; // name -> {asked, cost, due, busy}
    this.lastId = null;
  }

  start() {
    for (const name of Object.keys(EVERY)) this.last[name] = { asked: -Infinity, cost: 0, due: true };
    setInterval(() => this.turn(), 200);
    this.turn();
    this.listen();
  }

  /** Ask again for these views, as soon as may be. */
  ask(...names) {
    for (const name of names) if (this.last[name]) this.last[name].due = true;
  }

  age() {
    return this.heard ? (performance.now() - this.heard) / 1000 : Infinity;
  }

  /** Seconds for which nobody has answered. */
  lostFor() {
    return this.lost === null ? 0 : (performance.now() - this.lost) / 1000;
  }

  turn() {
    if (document.hidden && this.heard) return;
    const at = performance.now() / 1000;
    for (const [name, one] of Object.entries(this.last)) {
      if (one.busy) continue;
      const least = Math.max(LEAST[name] ?? SOONEST, Math.min(SLOWEST, one.cost * GENTLE));
      const wait = one.due ? least : Math.max(least, this.pause(name));
      if (at - one.asked >= wait) this.fetch(name, one, at);
    }
  }

  pause(name) {
    if (this.missing.has(name)) return 60;
    if (name === "requests" && this.isBusy()) return BUSY;
    if (!this.live && ["status", "nodes", "requests", "breakers"].includes(name)) return LIVELY;
    return EVERY[name];
  }

  isBusy() {
    const now = this.now ?? this.views.status?.requests;
    return Boolean(now && (now.running || now.waiting || now.in_flight));
  }

  async fetch(name, one, at) {
    Object.assign(one, { asked: at, due: false, busy: true });
    const { status, body } = await look(`/supervisor/${PATHS[name] ?? name}`);
    Object.assign(one, { busy: false, cost: performance.now() / 1000 - at });
    if (UNREACHED.includes(status)) this.lost ??= performance.now();
    if (status === 200) {
      this.lost = null;
      this.heard = performance.now();
      this.refused = null;
      this.missing.delete(name);
      this.views[name] = body;
    } else if (status === 404 || status === 503) {
      this.missing.set(name, body.message);
    } else if (status === 401 || status === 403) {
      if (name === "status") this.refused ??= body.message;
    }
    this.changed(name);
  }

  /** Read events for ever; what breaks is begun again where it ended. */
  async listen() {
    for (let wait = 0.5; ; wait = Math.min(wait * 2, 10)) {
      try {
        if (await this.stream()) wait = 0.5;
      } catch {
        // The network's: it is tried again below.
      }
      this.live = false;
      this.ask("status");
      this.changed("live");
      await new Promise((go) => setTimeout(go, wait * 1000));
    }
  }

  async stream() {
    const stop = new AbortController();
    const headers = this.lastId ? { "last-event-id": this.lastId } : {};
    const answer = await fetch("/supervisor/events", { headers, signal: stop.signal });
    const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream");
    if (!answer.ok || !isStream) {
      stop.abort();
      if (answer.status === 404) await new Promise((go) => setTimeout(go, 20_000));
      return false;
    }
    this.live = true;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let alarm;
    for (;;) {
      alarm = setTimeout(() => stop.abort(), QUIET * 1000);
      const { value, done } = await reader.read();
      clearTimeout(alarm);
      if (done) return true;
      this.heard = performance.now();
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) this.read(block);
    }
  }

  read(block) {
    const event = { event: "message", data: "" };
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
    }
    if (event.id) this.lastId = event.id;
    let facts;
    try {
      facts = JSON.parse(event.data);
    } catch {
      return;
    }
    this.take(event.event, facts);
  }

  take(name, facts) {
    if (name === "now") {
      this.now = facts;
      this.changed("now");
      return;
    }
    for (const [pattern, views] of TOUCHED) if (pattern.test(name)) this.ask(...views);
    if (name !== "request_started") {
      this.events.unshift(facts);
      if (this.events.length > EVENTS_KEPT) this.events.length = EVENTS_KEPT;
    }
    this.changed("event", name, facts);
  }
}
