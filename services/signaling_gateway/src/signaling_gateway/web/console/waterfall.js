/** A trace as a waterfall: each span below its parent, a bar where and as long as it was. */

import { el, ms, name } from "./dom.js";

const HUES = { signaling_gateway: 258, session_manager: 174, zone_manager: 38, host_registry: 212, scheduler: 330, prober: 95 };
const LEAST_PERCENT = 0.4;
const MOST_INDENT = 12;

/** @typedef {{span_id: string, parent_id: string | null, name: string, service: string, start: string, end: string, duration_ms: number, status: string, reason: string}} Span */

/** Depth first, each by its beginning. @param {Span[]} spans @returns {{span: Span, depth: number}[]} */
export function ordered(spans) {
  const known = new Set(spans.map(({ span_id }) => span_id));
  const children = Map.groupBy(spans, ({ parent_id }) => (known.has(parent_id) ? parent_id : null));
  const found = [];
  const rest = (children.get(null) ?? []).map((span) => ({ span, depth: 0 })).reverse();
  while (rest.length) {
    const next = rest.pop();
    found.push(next);
    for (const span of (children.get(next.span.span_id) ?? []).toReversed()) rest.push({ span, depth: next.depth + 1 });
  }
  return found;
}

/** Microseconds, which Date has not. @param {string} at */
const micros = (at) => Date.parse(at) * 1000 + Number(/\.\d{3}(\d{3})/.exec(at)?.[1] ?? 0);

/** @param {{trace_id: string, spans: Span[]}} trace */
export function waterfall({ spans }) {
  const begins = Math.min(...spans.map(({ start }) => micros(start)));
  const ends = Math.max(...spans.map(({ end }) => micros(end)));
  const whole = Math.max(1, ends - begins);
  const percent = (part) => `${((100 * part) / whole).toFixed(3)}%`;
  const services = [...new Set(spans.map(({ service }) => service))];
  const rows = ordered(spans).map(({ span, depth }) => {
    const [from, long] = [micros(span.start) - begins, micros(span.end) - micros(span.start)];
    const failed = span.status === "ERROR";
    const place = { "--hue": String(HUES[span.service] ?? 0), "--from": percent(from), "--long": percent(Math.max(long, (LEAST_PERCENT / 100) * whole)), "--depth": String(Math.min(depth, MOST_INDENT)) };
    return el(
      "li",
      { style: place, data: { service: span.service, span: span.name, tone: failed ? "bad" : "" }, title: `${span.service} · ${span.name}${span.reason ? ` · ${span.reason}` : ""}` },
      el("span", { className: "span-name" }, el("i", { className: "swatch", ariaHidden: "true" }), name(span.name), el("span", { className: "unseen" }, ` in ${span.service}`), failed && badText(span.reason)),
      el("span", { className: "lane", ariaHidden: "true" }, el("i")),
      el("span", { className: "took" }, ms(span.duration_ms)),
    );
  });
  const legend = services.map((service) => el("li", { style: { "--hue": String(HUES[service] ?? 0) } }, el("i", { className: "swatch", ariaHidden: "true" }), service.replace("_", " ")));
  return el("div", { className: "waterfall" }, el("p", { className: "soft" }, `${ms(whole / 1000)}, ${spans.length} spans`), el("ul", { className: "legend", ariaLabel: "Services" }, ...legend), el("ol", { ariaLabel: "Spans" }, ...rows));
}

const badText = (reason) => el("small", { className: "refused" }, reason ? ` failed: ${reason}` : " failed");
