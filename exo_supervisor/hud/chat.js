// One question, its answer, and who gave it and why. Kept in this tab, and nowhere else.

import { html, render } from "/hud/lit-html.js";
import { brief, plural, seconds } from "./format.js";
import { post, told } from "./session.js";
import { REASONS } from "./story.js";

export class Chat {
  constructor(into) {
    this.into = into;
    this.names = "";
    this.turns = [];
    this.stop = null;
    this.draw([]);
  }

  /** Offer these models; what is typed and chosen stays. */
  models(feed) {
    const rows = (feed.views.models?.models ?? []).filter((row) => ["ready", "cloud"].includes(row.state));
    const names = rows.map((row) => row.id).slice(0, 200);
    if (names.join("\n") === this.names) return;
    this.names = names.join("\n");
    this.draw(names);
  }

  draw(names = this.names ? this.names.split("\n") : []) {
    const busy = this.stop !== null;
    render(
      html`
        <h2 id="chat-title">Try it</h2>
        <div class="turns" tabindex="0" role="log" aria-label="Conversation" aria-busy=${busy}>${this.turns.map(turn)}</div>
        <form @submit=${(event) => this.send(event)}>
          <label>Model <select name="model" required>${names.map((name) => html`<option value=${name}>${brief(name, 60)}</option>`)}</select></label>
          <label class="question">Question <textarea name="question" rows="3" required placeholder="Name three rivers." @keydown=${submitOnEnter}></textarea></label>
          <label class="switch"><input type="checkbox" name="private"> Keep it in the house <small>(local_only)</small></label>
          <details><summary>Settings</summary><div class="settings">
            <label>Temperature <input name="temperature" type="number" min="0" max="2" step="0.1" placeholder="model's own"></label>
            <label>Top p <input name="top_p" type="number" min="0" max="1" step="0.05" placeholder="model's own"></label>
            <label>Most tokens <input name="max_tokens" type="number" min="1" max="131072" placeholder="no limit"></label>
          </div></details>
          <p class="buttons">
            <button type="button" ?disabled=${busy || !this.turns.length} @click=${() => this.clear()}>Clear</button>
            ${busy
              ? html`<button type="button" class="primary" @click=${() => this.stop.abort()}>Stop</button>`
              : html`<button class="primary" ?disabled=${!names.length}>Send</button>`}
          </p>
        </form>`,
      this.into,
    );
    const turns = this.into.querySelector(".turns");
    turns.scrollTop = turns.scrollHeight;
  }

  clear() {
    this.turns = [];
    this.draw();
  }

  async send(event) {
    event.preventDefault();
    const said = new FormData(event.target);
    const question = said.get("question").trim();
    if (!question || this.stop) return;
    const messages = this.turns.filter((one) => one.whole).flatMap((one) => [
      { role: "user", content: one.question },
      { role: "assistant", content: one.answer },
    ]);
    messages.push({ role: "user", content: question });
    const body = { model: said.get("model"), messages, stream: true, stream_options: { include_usage: true } };
    for (const name of ["temperature", "top_p", "max_tokens"]) if (said.get(name)) body[name] = Number(said.get(name));
    const headers = { "content-type": "application/json" };
    if (said.get("private")) headers["x-supervisor-privacy"] = "local_only";
    const now = { question, answer: "", model: body.model, whole: false, wrong: null, served: null, usage: null, begun: performance.now() };
    this.turns.push(now);
    this.stop = new AbortController();
    event.target.elements.question.value = "";
    this.draw();
    await this.carry(now, { body: JSON.stringify(body), headers, signal: this.stop.signal });
    now.total = (performance.now() - now.begun) / 1000;
    this.stop = null;
    this.draw();
  }

  async carry(now, request) {
    try {
      const answer = await post("/v1/chat/completions", request);
      if (!answer.ok) {
        now.wrong = (await told(answer)).message;
        return;
      }
      const named = (name) => answer.headers.get(`x-supervisor-${name}`);
      if (named("target")) now.served = { target: named("target"), attempts: Number(named("attempts")), shift: named("shift"), model: named("model") };
      await this.read(answer.body, now);
      if (!now.whole && !now.wrong) now.wrong = "the answer broke off: what stands above is not whole";
    } catch (fault) {
      now.wrong = fault.name === "AbortError" ? "stopped: what stands above is not whole" : "the answer broke off: what stands above is not whole";
    }
  }

  async read(body, now) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const lines = text.split("\n");
      text = lines.pop();
      for (const line of lines) take(line.trimEnd(), now);
      this.later ??= requestAnimationFrame(() => {
        this.later = undefined;
        this.draw();
      });
    }
  }
}

/** Take one line of the stream; the comment names who serves where the head was sent before. */
function take(line, now) {
  if (line.startsWith(": supervisor ")) now.served = JSON.parse(line.slice(13));
  if (!line.startsWith("data: ")) return;
  if (line === "data: [DONE]") {
    now.whole = true;
    return;
  }
  const { choices = [], usage, error } = JSON.parse(line.slice(6));
  if (error) now.wrong = String(error.message);
  if (usage) now.usage = usage;
  const content = choices[0]?.delta?.content ?? "";
  if (content && now.first === undefined) now.first = (performance.now() - now.begun) / 1000;
  now.answer += content;
}

function turn(one) {
  return html`<article>
    <p class="asked">${one.question}</p>
    <p class="answer">${one.answer}${one.total === undefined ? html`<span class="caret" aria-hidden="true"></span>` : ""}</p>
    ${one.wrong ? html`<p class="wrong" role="alert">${one.wrong}</p>` : ""}
    <p class="served">${served(one)}</p>
  </article>`;
}

function served({ served: by, model, usage, first, total }) {
  if (!by) return total === undefined ? "asking…" : "";
  const parts = [`${by.target.includes(":") ? "Exo" : "cloud"} ${by.target} served`];
  if (by.shift) parts[0] += `, since ${REASONS[by.shift] ?? by.shift}`;
  if (by.attempts > 1) parts.push(plural(by.attempts, "attempt"));
  if (by.model && by.model !== model) parts.push(`as ${brief(by.model, 50)}`);
  if (first !== undefined) parts.push(`first content ${seconds(first)}`);
  if (usage?.completion_tokens) parts.push(plural(usage.completion_tokens, "token"));
  if (total !== undefined) parts.push(`total ${seconds(total)}`);
  return parts.join(" · ");
}

function submitOnEnter(event) {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
}
