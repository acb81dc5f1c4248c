/** Making and changing elements; text is always text, whatever it looks like. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] of the element; those of `data` and `style` (custom properties too) one by one
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  const { data, style, attributes, ...plain } = properties;
  Object.assign(made, plain);
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(style ?? {})) made.style.setProperty(name, value);
  for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
  made.append(...children.filter((child) => child != null && child !== false).map(String_));
  return made;
}

const String_ = (child) => (child instanceof Node ? child : String(child));

/** @returns {SVGElement} */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/** A name that somebody chose: cut where it is too long, and its direction is nobody else's. */
export function name(text, className = "name") {
  const words = String(text ?? "");
  return el("bdi", { className, title: words }, words);
}

/** A name that opens what it names. */
export function opener(kind, id, text = id) {
  return el("button", { type: "button", className: "open", data: { open: kind, id } }, name(text));
}

/** A state in words, with a mark whose shape and colour say the same. */
export const badge = (word, tone = toneOf(word)) => el("span", { className: "badge", data: { tone } }, word);

const TONES = {
  good: ["online", "active", "enabled", "healthy", "answers", "connected", "done", "measured", "yes"],
  warn: ["suspect", "pending", "migrating", "fallback", "draining", "busy", "maintenance", "paused", "unknown", "silent"],
  bad: ["offline", "failed", "unhealthy", "away", "gone"],
};

export const toneOf = (word) => Object.keys(TONES).find((tone) => TONES[tone].includes(word)) ?? "calm";

/** A share as a short bar, for the eye alone: the figure stands beside it. */
export function bar(share, tone = "accent") {
  const width = `${Math.round(100 * Math.min(1, Math.max(0, share || 0)))}%`;
  return el("span", { className: "bar-of", data: { tone }, ariaHidden: "true" }, el("i", { style: { width } }));
}

/** A figure behind its bar, as wide as the others in its column. */
export const figure = (text) => el("span", { className: "figure" }, text);
export const pair = (part, total) => el("span", { className: "figure pair" }, of(part, total));

/* Numbers and times */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const SCORE = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const whole = (number) => (Number.isFinite(number) ? WHOLE.format(number) : "–");
export const tenths = (number) => (Number.isFinite(number) ? TENTHS.format(number) : "–");
export const score = (number) => (Number.isFinite(number) ? SCORE.format(number) : "–");
export const ms = (number) => (Number.isFinite(number) ? `${TENTHS.format(number)} ms` : "–");
export const of = (part, total) => `${whole(part)} / ${whole(total)}`;

let aheadMs = 0; // how far this machine's clock is ahead of the suite's

/** @param {string} at the suite's time, now */
export const setClock = (at) => {
  aheadMs = Date.now() - Date.parse(at);
};

/** How long ago, kept true by `tick`. */
export function ago(at) {
  if (!at) return el("span", { className: "soft" }, "–");
  const made = el("time", { dateTime: at, title: at, data: { ago: "" } });
  made.textContent = since(at);
  return made;
}

/** @param {string} at */
export function since(at) {
  const seconds = Math.max(0, (Date.now() - aheadMs - Date.parse(at)) / 1000);
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 100) return `${Math.floor(seconds)} s`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function tick() {
  for (const time of document.querySelectorAll("time[data-ago]")) say(time, since(time.dateTime));
}

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour12: false });

/** Sets text only where it differs, so that nothing is laid out anew for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The same rows under the same keys stay where they are, and keep their focus. */
export function arrange(parent, rows) {
  rows.forEach((row, index) => {
    if (parent.children[index] !== row) parent.insertBefore(row, parent.children[index] ?? null);
  });
  while (parent.children.length > rows.length) parent.lastElementChild.remove();
}

/** A line of the last values. */
export class Sparkline {
  /** @param {string} label */
  constructor(label, points = 60) {
    this.points = points;
    this.values = [];
    this.line = svg("polyline", { class: "curve" });
    this.area = svg("polygon", { class: "area" });
    this.element = svg("svg", { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img", "aria-label": label }, this.area, this.line);
  }

  /** @param {number} value */
  add(value) {
    this.values.push(value);
    if (this.values.length > this.points) this.values.shift();
    const top = Math.max(1, ...this.values);
    const step = 100 / (this.points - 1);
    const first = 100 - step * (this.values.length - 1);
    const points = this.values.map((each, index) => `${(first + step * index).toFixed(2)},${(22.5 - (20 * each) / top).toFixed(2)}`);
    this.line.setAttribute("points", points.join(" "));
    this.area.setAttribute("points", `${first.toFixed(2)},24 ${points.join(" ")} 100,24`);
  }
}
