// Joins what is heard with what is shown: a panel is drawn anew when what it shows has changed.

import { render } from "/hud/lit-html.js";
import { books } from "./books.js";
import { Chat } from "./chat.js";
import { Feed } from "./feed.js";
import { clouds, models, nodes } from "./house.js";
import { map } from "./map.js";
import { ask } from "./orders.js";
import { about, advice, ended, log, running, shifts } from "./panels.js";
import { Pulse, pulse } from "./pulse.js";
import { begin } from "./session.js";
import { icon, isStale, judge, spoken, verdict } from "./verdict.js";

const FRAME = 100; // milliseconds between two drawings, at least
const TALK = 4000; // milliseconds between two things said aloud, at least
const at = (id) => document.getElementById(id);

const trail = new Pulse();
const dirty = new Set();
const ui = {
  filter: "",
  shown: 40,
  models: 12,
  set(more) {
    Object.assign(ui, more);
    mark("nodes", "models");
  },
  order(what) {
    ask(what, () => feed.ask("status", "nodes", "models", "breakers"));
  },
};

// Which panels show a view.
const SHOWN = {
  status: ["verdict", "advice", "map", "nodes", "clouds", "ended", "about", "books"],
  nodes: ["map", "nodes"],
  models: ["models", "chat", "clouds"],
  breakers: ["map", "clouds"],
  requests: ["map", "running", "ended"],
  shifts: ["shifts"],
  ledger: ["books", "advice"],
  egress: ["books"],
  clients: ["books"],
  config: ["clouds", "books"],
  now: ["verdict", "ended", "books"],
  live: ["verdict"],
};
const ON_EVENT = { traffic_shifted: ["shifts"], request_done: ["ended"] };

const feed = new Feed((what, name, facts) => {
  if (what === "event") {
    if (name === "request_done") trail.answered(facts);
    mark("log", ...(ON_EVENT[name] ?? []));
  } else mark(...SHOWN[what]);
});
const chat = new Chat(at("chat"));

const DRAW = {
  verdict: drawVerdict,
  advice() {
    const content = advice(feed);
    at("advice").hidden = content === null;
    render(content ?? "", at("advice"));
  },
  map: () => render(map(feed, at("map").clientWidth - 2 * parseFloat(getComputedStyle(at("map")).paddingLeft)), at("map")),
  running: () => render(running(feed), at("running")),
  pulse: () => render(pulse(trail), at("pulse")),
  shifts: () => render(shifts(feed), at("shifts")),
  books: () => render(books(feed), at("books")),
  nodes: () => render(nodes(feed, ui), at("nodes")),
  models: () => render(models(feed, ui), at("models")),
  clouds: () => render(clouds(feed, ui), at("clouds")),
  chat: () => chat.models(feed),
  ended: () => render(ended(feed), at("ended")),
  log: () => render(log(feed), at("log")),
  about: () => render(about(feed), at("about")),
};

let drawn = 0;
let waiting = false;

/** Have panels drawn with the next frame, all that changed until then at once. */
function mark(...panels) {
  for (const panel of panels) dirty.add(panel);
  if (waiting || !dirty.size) return;
  waiting = true;
  setTimeout(() => requestAnimationFrame(draw), Math.max(0, drawn + FRAME - performance.now()));
}

function draw() {
  waiting = false;
  drawn = performance.now();
  const panels = [...dirty];
  dirty.clear();
  for (const panel of panels) {
    try {
      DRAW[panel]();
    } catch (fault) {
      console.error(panel, fault); // one panel that cannot be drawn keeps no other from it
    }
  }
}

let iconOf = "";
let said = "";
let saidAt = -TALK;

function drawVerdict() {
  const found = judge(feed);
  at("verdict").className = `verdict ${found.level}`;
  document.body.classList.toggle("stale", isStale(found));
  render(verdict(found, feed), at("verdict"));
  const words = spoken(found);
  document.title = `${{ well: "●", weak: "▲", bad: "✖", unknown: "○" }[found.level]} ${found.parts[0]} – exo-supervisor`;
  if (found.level !== iconOf) document.querySelector("link[rel=icon]").href = icon((iconOf = found.level));
  if (words === said || performance.now() - saidAt < TALK) return;
  [said, saidAt] = [words, performance.now()];
  at("spoken").textContent = words;
}

function tick() {
  trail.tick(feed);
  mark("verdict", "pulse", ...(feed.isBusy() ? ["running"] : []));
}

feed.refused = await begin();
mark(...Object.keys(DRAW));
feed.start();
setInterval(tick, 1000);
new ResizeObserver(() => mark("map")).observe(at("map"));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) feed.ask("status", "nodes", "models", "breakers", "requests");
});
