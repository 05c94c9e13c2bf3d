// Charts over the last minutes, redrawn as samples come in.

import { $, el, number } from "./dom.js";

const SPAN = 300; // seconds, at most
const LEAST = 60;
const HEIGHT = 170; // pixels

/** A chart of some series, each `{ key, label, color }`: its name in a sample, for people, in CSS. */
export class Chart {
  constructor(name, title, series) {
    this.box = $(`chart-${name}`);
    this.title = title;
    this.series = series;
    this.legend = series.map(({ label, color }) => {
      const value = el("b", {}, "–");
      const key = el("i", { "aria-hidden": "true", class: `key ${color}` });
      $(`legend-${name}`).append(el("li", {}, key, `${label} `, value));
      return value;
    });
    document.documentElement.addEventListener("themechange", () => this.build());
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  show(samples) {
    this.data = [
      samples.map((one) => one.at),
      ...this.series.map(({ key }) => samples.map((one) => one[key])),
    ];
    const latest = this.series.map(({ key }) => samples.findLast((one) => one[key] !== null)?.[key]);
    latest.forEach((value, index) => (this.legend[index].textContent = number(value)));
    const said = this.series.map(({ label }, index) => `${label} ${number(latest[index])}`);
    this.box.setAttribute("aria-label", `${this.title}, now: ${said.join(", ")}`);
    if (!this.plot) this.build();
    else this.plot.setData(this.data);
  }

  resize() {
    if (this.plot && this.box.clientWidth) this.plot.setSize(this.size());
    else this.build();
  }

  size() {
    return { width: this.box.clientWidth, height: HEIGHT };
  }

  /** The last minutes, as far as there are samples. */
  span() {
    const now = Date.now() / 1000;
    return [Math.max(now - SPAN, Math.min(this.data[0][0], now - LEAST)), now];
  }

  build() {
    if (!this.data || !this.box.clientWidth) return;
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const axis = { stroke: color("soft"), font: "11px system-ui", ticks: { show: false } };
    const grid = { stroke: color("line"), width: 1 };
    this.plot = new uPlot(
      {
        ...this.size(),
        padding: [8, 22, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: {
          x: { time: true, range: () => this.span() },
          y: { range: (_, low, high) => [0, Math.max(high * 1.1, 4)] },
        },
        axes: [
          { ...axis, grid: { show: false }, size: 28, space: 60, values: times },
          { ...axis, grid, size: 46, space: 36, values: (_, at) => at.map((one) => number(one)) },
        ],
        series: [
          {},
          ...this.series.map((one) => ({
            stroke: color(one.color),
            width: 1.75,
            fill: one.fill ? `${color(one.color)}1f` : undefined,
            spanGaps: true,
            points: { show: false },
          })),
        ],
      },
      this.data,
      this.box,
    );
  }
}

function times(_plot, places, _axis, _space, step) {
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (step < 60) parts.second = "2-digit";
  return places.map((at) => new Date(at * 1000).toLocaleTimeString([], parts));
}
