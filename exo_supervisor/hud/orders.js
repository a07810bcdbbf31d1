// What may be ordered, and the question before it is: one dialog for all orders.

import { html } from "/hud/lit-html.js";
import { close, closing, draw, head, open } from "./dialog.js";
import { brief } from "./format.js";
import { look, post, told } from "./session.js";
import { choice as chosen } from "./story.js";

const breakerOrders = (target, model) => {
  const query = model ? `?model=${encodeURIComponent(model)}` : "";
  const path = (verb) => `/supervisor/breakers/${encodeURIComponent(target)}/${verb}${query}`;
  return [
    { name: "Hold its breaker open", then: "Nothing is sent there until somebody lets it go, or the service restarts.", path: path("open"), grave: true },
    { name: "Hold its breaker closed", then: "It is asked however often it fails, until somebody lets it go, or the service restarts.", path: path("close"), grave: true },
    { name: "Let its breaker go", then: "It opens and closes by itself again.", path: path("auto") },
  ];
};

const nodeOrders = (node) => {
  const path = (verb) => `/supervisor/nodes/${encodeURIComponent(node.id)}/${verb}`;
  const own = node.trust !== "found" && node.trust !== "pinned"; // by a word that is not said here
  const trust = { name: "Trust it", then: "It may be sent every prompt, those that must stay in the house too.", path: path("trust"), grave: true };
  const untrust = { name: "Trust it no more", then: "It gets only what may leave the house anyhow.", path: path("untrust") };
  return [...(own ? [] : [node.trust === "found" ? trust : untrust]), ...breakerOrders(node.id)];
};

const modelOrders = (id) => {
  const path = (verb) => `/supervisor/models/${encodeURIComponent(id)}/${verb}`;
  return [
    { name: "Place it on Exo", then: "Exo loads it, and downloads it first where it must: that can take long, and memory.", path: path("place"), grave: true },
    { name: "Remove it from Exo", then: "Its instances end; answers under way there break off.", path: path("remove"), grave: true },
  ];
};

const KINDS = {
  node: ({ node }) => [node.id, nodeOrders(node)],
  cloud: ({ target, model }) => [model ? `${target}, ${model}` : target, breakerOrders(target, model)],
  model: ({ row }) => [row.id, modelOrders(row.id)],
};

/** Ask what is to be ordered of something; `done` is called once an order was taken. */
export function ask(what, done) {
  if (what.kind === "place") return open(naming(done));
  const [name, orders] = KINDS[what.kind](what);
  open(choice(name, orders, done));
  if (what.kind === "model") forecast(name, orders, done);
}

/** Say, as soon as it is known, who would serve a model now. */
async function forecast(name, orders, done) {
  const { status, body } = await look(`/supervisor/models/${encodeURIComponent(name)}`);
  const now = status === 200 ? body.choice : null;
  if (!now || !document.getElementById("choice")) return;
  draw(choice(name, orders, done, html`<p>${now.target ? html`Now <b>${now.target}</b> would serve it.` : `Now nobody would serve it: ${now.refusal?.message ?? ""}`}</p>${chosen(now)}`));
}

function choice(name, orders, done, told = "") {
  return html`${head(name)}<div id="choice">${told}</div>
    <ul class="choice">${orders.map(
      (order) => html`<li><button type="button" @click=${() => draw(question(name, order, done))}>${order.name}</button><p>${order.then}</p></li>`,
    )}</ul>
    <p class="buttons">${closing("Cancel")}</p>`;
}

function naming(done) {
  const go = (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("name").trim();
    if (name) draw(question(name, modelOrders(name)[0], done));
  };
  return html`${head("Place a model on Exo")}
    <form @submit=${go}><label>Its name, or its id at Hugging Face
      <input name="name" required autocomplete="off" spellcheck="false" autofocus></label>
      <p class="buttons">${closing("Cancel")}<button class="primary">Go on</button></p></form>`;
}

function question(name, order, done) {
  return html`${head(`${order.name}?`)}
    <p class="whom">${brief(name, 160)}</p><p>${order.then}</p>
    <p class="buttons">${closing("Cancel")}<button type="button" class=${order.grave ? "primary grave" : "primary"} @click=${() => give(name, order, done)}>${order.name}</button></p>`;
}

async function give(name, order, done) {
  draw(html`${head(order.name)}<p role="status">Asking the service…</p>`);
  let wrong = null;
  let title = "It was not done";
  try {
    const answer = await post(order.path);
    const body = answer.ok ? await answer.json() : null;
    if (!answer.ok) wrong = (await told(answer)).message;
    else if (body.kept === false) {
      title = "It holds until the service restarts";
      wrong = `The state directory could not be written: ${body.why}. Mend that, then order it again.`;
    }
  } catch {
    wrong = "the service does not answer";
  }
  done();
  if (wrong === null) return close();
  draw(html`${head(title)}<p role="alert">${wrong}</p>
    <p class="buttons"><button type="button" class="primary" @click=${close}>Close</button></p>`);
}
