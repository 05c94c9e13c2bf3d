// Try it: what one user watched and is recommended, and how a watch changes that.

import { $, ago, clock, el, number } from "./dom.js";
import { Refused, ask, send } from "./api.js";
import { titled } from "./titles.js";

const SHOWN = 8; // recommendations
const PAST = 8; // watches of the history
const PATIENCE = 15_000; // milliseconds until a watch is learned
const REASONS = {
  watched_together: "watched together with what you watched",
  popular: "popular right now",
  new: "new here, and few have seen it yet",
  next_in_course: "next in your course",
  watched_next: "what people watch next",
  similar: "similar to what you watched",
};

let user = null;
let turn = 0; // only the latest question is answered

const path = (who) => `users/${who}/recommendations?limit=${SHOWN}&explain=true`;

/** Show everything of the user; lessons that were not on the list before are marked. */
async function show(recommendations) {
  const mine = ++turn;
  const [history, begun, list] = await Promise.all([
    ask(`dashboard/watches?user_id=${user}&limit=${PAST}`),
    ask(`dashboard/users/${user}/continue-watching?limit=5`),
    recommendations ?? ask(path(user)),
  ]);
  const lessons = [...history.items, ...begun.items, ...list.items];
  const because = list.items.flatMap((item) => item.because ?? []);
  const title = await titled([...lessons, ...because].map((one) => one.lesson_id));
  if (mine !== turn) return;
  showRecommended(list, title);
  showContinue(begun.items, title);
  showHistory(history.items, title);
  $("columns").hidden = false;
}

function showRecommended(list, title) {
  const before = new Set([...$("recommended").children].map((item) => item.dataset.lesson));
  const isSame = $("recommended").dataset.user === user;
  $("recommended").dataset.user = user;
  $("strategy").textContent =
    list.strategy === "personal" ? `for user ${user}` : "popular, as this user watched nothing yet";
  const items = list.items.map((item, index) =>
    el("li", {
      "data-lesson": item.lesson_id,
      class: isSame && !before.has(String(item.lesson_id)) ? "fresh" : undefined,
    },
      el("span", { class: "rank", "aria-hidden": "true" }, String(index + 1)),
      el("div", { class: "about" },
        el("strong", {}, title(item.lesson_id)),
        el("span", { class: "soft" }, reason(item, title))),
      el("button", {
        type: "button",
        "aria-label": `Watch ${title(item.lesson_id)}`,
        onclick: () => watch(item.lesson_id),
      }, "Watch")));
  $("recommended").replaceChildren(...items);
  if (!items.length) $("recommended").append(nothing("Nothing is left to recommend."));
}

function reason(item, title) {
  const names = (item.because ?? []).slice(0, 2).map((one) => title(one.lesson_id));
  const isPersonal = item.reason === "watched_together" && names.length;
  return sentence(isPersonal ? `because you watched ${names.join(" and ")}` : REASONS[item.reason]);
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;

function showContinue(items, title) {
  const rows = items.map((item) =>
    el("li", {},
      el("div", { class: "about" },
        el("strong", {}, title(item.lesson_id)),
        el("span", { class: "soft" }, `resume at ${clock(item.position)}`)),
      meter(item.percent, title(item.lesson_id))));
  $("continue").replaceChildren(...(rows.length ? rows : [nothing("Nothing begun and not finished.")]));
}

function meter(percent, name) {
  if (percent === null || percent === undefined) return undefined;
  const label = `${name}: ${Math.round(percent)} % watched`;
  const bar = el("meter", { min: 0, max: 100, value: percent, "aria-label": label, title: label });
  return bar;
}

function showHistory(items, title) {
  const rows = items.map((watch) =>
    el("li", {},
      el("div", { class: "about" },
        el("strong", {}, title(watch.lesson_id)),
        el("span", { class: "soft" }, `${clock(watch.position)}, ${ago(watch.occurred_at)}`))));
  $("history").replaceChildren(...(rows.length ? rows : [nothing("Nothing watched yet.")]));
}

const nothing = (words) => el("li", { class: "soft" }, words);

/** Record a watch, and show what it changes and how long that took. */
async function watch(lesson) {
  const who = user;
  const began = performance.now();
  say("recording …");
  try {
    const body = { user_id: Number(who), lesson_id: Number(lesson), position: 60, duration: 600 };
    const recorded = await send("dashboard/watches", body);
    const between = performance.now();
    const list = await learned(recorded, who);
    const end = performance.now();
    const title = await titled([lesson]);
    if (who !== user) return; // somebody else is looked at by now
    say(
      `${title(lesson)} changed the list after ${number(Math.round(end - began))} ms`,
      `: recorded in ${number(Math.round(between - began))}, learned and ranked in ${number(Math.round(end - between))}.`,
    );
    await show(list);
    await pick();
  } catch (error) {
    complain(error);
  }
}

/** Return the user's recommendations that know the watch; the service waits until they do. */
async function learned(watch, who) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      return await ask(`${path(who)}&after=${watch.id}&wait_ms=5000`);
    } catch (error) {
      if (error.status !== 503) throw error;
      if (performance.now() > deadline) {
        throw new Refused(503, "It is recorded, and not learned yet. The list will change when it is.");
      }
    }
  }
}

function say(what, more = "") {
  $("took").dataset.state = "";
  $("took").replaceChildren(el("strong", {}, what), more);
}

function complain(error) {
  $("took").dataset.state = "bad";
  $("took").replaceChildren(error.message);
}

/** Offer the users who watched last. */
export async function pick() {
  const recent = await ask("dashboard/watches?limit=50");
  const users = [...new Set(recent.items.map((one) => String(one.user_id)))].slice(0, 6);
  $("picks").hidden = !users.length;
  $("picks").replaceChildren(
    el("span", { class: "soft" }, "lately"),
    ...users.map((one) =>
      el("button", {
        type: "button",
        class: "pick",
        "aria-pressed": one === user,
        "aria-label": `User ${one}`,
        onclick: () => choose(one),
      }, one)),
  );
  return users;
}

export async function choose(wanted) {
  user = String(wanted);
  $("user").value = user;
  $("took").replaceChildren();
  for (const one of $("picks").querySelectorAll("button")) one.setAttribute("aria-pressed", one.textContent === user);
  history.replaceState(null, "", `#user=${user}`);
  try {
    await show();
  } catch (error) {
    complain(error);
  }
}

/** Begin with the user that the address names, or who watched last, unless one is being typed. */
export async function begin() {
  try {
    const users = await pick();
    const named = new URLSearchParams(location.hash.slice(1)).get("user");
    const first = named && /^\d+$/.test(named) ? named : users[0];
    if (first !== undefined && user === null && !$("user").value) await choose(first);
  } catch (error) {
    complain(error);
  }
}

$("user-form").addEventListener("submit", (event) => {
  event.preventDefault();
  choose($("user").value.trim());
});

$("watch-form").addEventListener("submit", (event) => {
  event.preventDefault();
  watch($("lesson").value.trim());
  $("lesson").value = "";
});
