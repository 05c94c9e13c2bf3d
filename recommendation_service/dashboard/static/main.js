// The page put together: news from the stream go to the parts that show them.

import { $ } from "./dom.js";
import { follow } from "./stream.js";
import { showHealth, showPanel } from "./panel.js";
import { showParked } from "./parked.js";
import { begin } from "./try.js";

let begun = false;
let connected; // what the connection's state is

function heard(news) {
  const isEmpty = news.applied === 0;
  $("welcome").hidden = !isEmpty;
  $("live").hidden = isEmpty || news.applied === undefined;
  showAddresses(news.consumption_url);
  showHealth(news.health);
  showPanel(news);
  showParked(news.parked).catch((error) => complain(error.message));
  if (!begun && !isEmpty) begun = Boolean(begin());
}

function changed(state, why = "") {
  if (state === connected && state === "live") return;
  connected = state;
  const pill = $("connection");
  pill.dataset.state = { live: "good", refused: "bad" }[state] ?? "warn";
  pill.textContent = { live: "live", refused: "refused" }[state] ?? "reconnecting";
  complain(state === "away" ? `${why} Trying again …` : "");
}

function complain(sentence) {
  $("notice").textContent = sentence;
  $("notice").hidden = !sentence;
}

/** Show where the other service is, as this browser would have to say it. */
function showAddresses(url) {
  const there = new URL(url);
  there.hostname = location.hostname;
  const consumption = there.href.replace(/\/$/, "");
  const body = `'{"user_id": 42, "lesson_id": 100, "position": 314}'`;
  $("curl-watch").textContent =
    `curl -X POST ${consumption}/watches -H 'content-type: application/json' -d ${body}`;
  $("curl-recommend").textContent = `curl '${location.origin}/users/42/recommendations?explain=true'`;
  $("consumption-docs").href = `${consumption}/docs`;
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

follow("dashboard/events", heard, changed);
