// Parked messages: what is wrong with each, and the two things that can be done about it.

import { $, ago, el } from "./dom.js";
import { ask } from "./api.js";

const PAGE = 20;
const READABLE = 3000; // milliseconds
let shown; // how many are parked, as far as the list knows
let cursor = null;

/** Read the list again when the number of parked messages is another one. */
export async function showParked(count) {
  if (count === undefined || count === shown) return;
  shown = count;
  $("parked-count").textContent = count;
  $("parked-count").dataset.some = count > 0;
  $("parked-none").hidden = count > 0;
  const page = await ask(`parked?limit=${PAGE}`);
  // Where somebody has pressed a button, the answer is still to be read.
  const kept = [...$("messages").querySelectorAll(".busy")];
  const others = page.items.filter(({ id }) => !kept.some((item) => item.dataset.id === id));
  $("messages").replaceChildren(...kept, ...others.map(message));
  more(page.next_cursor);
}

function more(next) {
  cursor = next;
  $("parked-more").hidden = next === null;
}

$("parked-more").addEventListener("click", async () => {
  const page = await ask(`parked?limit=${PAGE}&cursor=${cursor}`);
  $("messages").append(...page.items.map(message));
  more(page.next_cursor);
});

function message(parked) {
  const said = el("p", { class: "outcome", role: "status" });
  const item = el(
    "li",
    { class: "message", "data-id": parked.id },
    el("div", { class: "what" },
      el("strong", {}, parked.reason),
      el("span", { class: "soft" }, ` ${parked.detail}`)),
    el("pre", { tabindex: 0, "aria-label": "Body" }, parked.body.slice(0, 2000) || "(empty)"),
    el("p", { class: "soft" },
      `routing key ${parked.routing_key || "(empty)"}, id ${parked.message_id ?? "none"}, ` +
      `tried ${parked.attempts}×, parked ${ago(parked.parked_at)}`),
    el("div", { class: "actions" },
      button("Redeliver", item_ => act(item_, () => ask(`parked/${parked.id}/redeliver`, { method: "POST" }))),
      button("Discard", item_ => confirmed(item_, () => ask(`parked/${parked.id}`, { method: "DELETE" })), "danger")),
    said,
  );
  return item;

  function button(label, does, kind = "") {
    return el("button", { type: "button", class: kind, onclick: (event) => does(event.target) }, label);
  }

  function confirmed(pressed, does) {
    if (pressed.dataset.sure) return act(pressed, does);
    pressed.dataset.sure = "yes";
    pressed.textContent = "Discard for good?";
    pressed.addEventListener("blur", () => {
      delete pressed.dataset.sure;
      pressed.textContent = "Discard";
    }, { once: true });
  }

  async function act(pressed, does) {
    pressed.disabled = true;
    item.classList.add("busy");
    try {
      const answer = await does();
      said.textContent = answer ? `It was redelivered: ${answer.outcome}.` : "It was discarded.";
      item.classList.add("done");
      setTimeout(() => item.remove(), READABLE);
    } catch (error) {
      said.textContent = error.message;
      pressed.disabled = false;
      item.classList.remove("busy");
    }
  }
}
