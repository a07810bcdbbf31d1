// The one dialog: what stands in it changes, and it closes by Escape and by its own button.

import { html, render } from "/hud/lit-html.js";
import { brief } from "./format.js";

const box = () => document.getElementById("dialog");

/** Fill it; focus that stood on what is gone goes to the first button, which does no harm. */
export function draw(content) {
  render(content, box());
  if (box().open && !box().contains(document.activeElement)) box().querySelector("input, button")?.focus();
}

export const close = () => box().close();
export const head = (title) => html`<h2 id="dialog-title">${brief(title, 80)}</h2>`;

export function open(content) {
  draw(content);
  if (!box().open) box().showModal();
}

export const closing = (label = "Close") => html`<button type="button" @click=${close}>${label}</button>`;
