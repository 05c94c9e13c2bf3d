// The stream of news, which begins again by itself. By fetch, because EventSource can show no key.

import { request } from "./api.js";

const FIRST_DELAY = 500; // milliseconds
const LAST_DELAY = 3000;
const SILENCE = 20_000; // the service speaks each second

/** Call `heard` with all news, and `changed` with "live" or with what is wrong; for ever. */
export async function follow(path, heard, changed) {
  let delay = FIRST_DELAY;
  for (;;) {
    try {
      for await (const news of messages(path)) {
        delay = FIRST_DELAY;
        changed("live");
        heard(news);
      }
      changed("away", "The service ended the stream.");
    } catch (error) {
      changed(error.status === 401 || error.status === 403 ? "refused" : "away", error.message);
    }
    await new Promise((resume) => setTimeout(resume, delay * (0.5 + Math.random())));
    delay = Math.min(delay * 2, LAST_DELAY);
  }
}

async function* messages(path) {
  const abort = new AbortController();
  let silence = setTimeout(() => abort.abort(), SILENCE);
  try {
    const response = await request(path, { signal: abort.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE);
      const parts = (text + value.replaceAll("\r", "")).split("\n\n");
      text = parts.pop();
      yield* parts.map(data).filter((one) => one !== null);
    }
  } finally {
    clearTimeout(silence);
    abort.abort();
  }
}

function data(message) {
  const lines = message.split("\n").filter((line) => line.startsWith("data:"));
  return lines.length ? JSON.parse(lines.map((line) => line.slice(5)).join("\n")) : null;
}
