// Small words for what the page does with its elements.

export const $ = (id) => document.getElementById(id);

/** Make an element: el("button", { class: "quiet", onclick }, "Text", child, …). */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made[key] = value;
    else if (value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/** Write a number as people do, with no more digits than anybody wants. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  return (Math.abs(value) < 100 ? exact : whole).format(value);
}

/** Say how long ago something was, as people do. */
export function ago(time) {
  const seconds = Math.max(0, (Date.now() - new Date(time)) / 1000);
  if (seconds < 5) return "just now";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
}

/** Say a position in a lesson: 314 is 5:14. */
export const clock = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
