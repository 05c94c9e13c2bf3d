// What the page asks the service for. A refusal is an error with the service's own sentence.

import { $ } from "./dom.js";

const KEY = "upnext-key";

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

/** Return the response, or throw what is wrong as a sentence. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The recommendation service does not answer.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 || response.status === 403) askForKey();
  throw new Refused(response.status, problem.detail ?? problem.title ?? `Status ${response.status}.`);
}

export async function ask(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

export const send = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

function askForKey() {
  $("key").hidden = false;
}

$("key").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key-value").value.trim());
  location.reload();
});
