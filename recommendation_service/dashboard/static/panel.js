// The figures, the charts, and how both services are.

import { $, number } from "./dom.js";
import { Chart } from "./charts.js";

const KEPT = 300;
const samples = [];

const charts = [
  new Chart("rates", "Messages per second", [
    { key: "publish", label: "publish", color: "one", fill: true },
    { key: "deliver", label: "deliver", color: "two" },
    { key: "ack", label: "ack", color: "three" },
    { key: "redelivered", label: "redelivered", color: "four" },
  ]),
  new Chart("fresh", "Freshness in milliseconds", [
    { key: "p99", label: "99 %", color: "four" },
    { key: "p50", label: "half", color: "one", fill: true },
  ]),
  new Chart("queue", "Messages in the queue", [
    { key: "total", label: "total", color: "one", fill: true },
    { key: "ready", label: "ready", color: "two" },
    { key: "unacked", label: "unacked", color: "three" },
  ]),
];

export function showPanel(news) {
  remember(news.samples);
  const now = samples.at(-1);
  for (const [id, value] of Object.entries({
    "fresh-p50": news.freshness.p50,
    "fresh-p99": news.freshness.p99,
    applied: news.applied,
    duplicates: news.duplicates,
    lessons: news.lessons,
    total: now.total,
    ready: now.ready,
    unacked: now.unacked,
  })) {
    $(id).textContent = number(value);
  }
  if (news.quality) showQuality(news.quality);
  if (!$("live").hidden) charts.forEach((chart) => chart.show(samples));
}

function remember(fresh) {
  if (fresh.length > 1) samples.length = 0; // the stream began anew, with all there is
  samples.push(...fresh.map((one) => ({ ...one, total: one.ready + one.unacked })));
  samples.splice(0, samples.length - KEPT);
}

function showQuality({ recent }) {
  const percent = (share) => number(Math.round(share * 1000) / 10);
  $("quality").textContent = recent.evaluated ? percent(recent.upnext) : "–";
  $("quality-note").textContent = recent.evaluated
    ? `of the next lessons were among the first ten; by popularity ${percent(recent.popular)} %`
    : "no next lesson could be predicted yet";
  const [ours, theirs] = $("quality-bars").children;
  const most = Math.max(recent.upnext, recent.popular, 0.001);
  ours.style.width = `${(100 * recent.upnext) / most}%`;
  theirs.style.width = `${(100 * recent.popular) / most}%`;
}

export function showHealth(health) {
  for (const [service, { status, parts }] of Object.entries(health)) {
    const pill = $(`health-${service}`);
    const wrong = Object.entries(parts ?? {}).filter(([, state]) => state !== "ok");
    const said = wrong.map(([part, state]) => `${part} ${state}`).join("; ");
    pill.dataset.state = { ready: "good", degraded: "warn" }[status] ?? "bad";
    pill.textContent = status === "ready" ? service : `${service}: ${status}`;
    pill.title = said || "all is well";
  }
}
