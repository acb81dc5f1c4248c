/** A session in the drawer: what it is, its history, and how it came about as a waterfall. */

import { ago, badge, clock, el, ms, name, of, opener, tenths, whole } from "./dom.js";
import { ask } from "./stream.js";
import { waterfall } from "./waterfall.js";

const HISTORY = 200;
const SETTLE_MS = 1_500; // spans leave their process twice a second

/** @param {[string, any][]} facts */
export const facts = (entries) => el("dl", { className: "facts" }, ...entries.flatMap(([label, value]) => [el("div", {}, el("dt", {}, label), el("dd", {}, ...[value ?? "–"].flat()))]));

/** What a decision came from, in words. @param {Record<string, number>} of */
const figures = (of = {}) => Object.entries(of).map(([what, value]) => `${what} ${value}`).join(", ");

export class SessionDetails {
  #trace = null;
  #shown = "";

  /** @param {string} id @param {{traces: boolean, jaeger_url: string | null}} about */
  constructor(id, about) {
    this.id = id;
    this.about = about;
    this.summary = el("div");
    this.history = el("tbody");
    this.more = el("p", { className: "soft" });
    this.trace = el("div", { id: "trace", ariaLive: "polite" });
    const heads = ["When", "What", "Epoch", "Who", "Trace"].map((head) => el("th", { scope: "col" }, head));
    this.element = el(
      "div",
      {},
      this.summary,
      el("section", {}, el("h3", {}, "History"), el("div", { className: "scroll history", tabIndex: 0, role: "region", ariaLabel: "History" }, el("table", { id: "history" }, el("thead", {}, el("tr", {}, ...heads)), this.history)), this.more),
      el("section", { ariaLabel: "Trace" }, el("h3", {}, "Trace"), this.trace),
    );
    this.element.addEventListener("click", ({ target }) => {
      const button = target.closest?.("[data-trace]");
      if (button) this.#follow(button.dataset.trace);
    });
  }

  async refresh(signal) {
    const path = `/api/v1/sessions/${encodeURIComponent(this.id)}`;
    const [session, events] = await Promise.all([ask(path, signal), ask(`${path}/events?limit=${HISTORY}`, signal)]);
    const told = JSON.stringify([session, events]);
    if (told === this.#shown) return;
    this.#shown = told;
    this.#summarize(session);
    this.history.replaceChildren(...events.map((event) => this.#line(event)));
    this.more.textContent = events.length === HISTORY ? `The first ${HISTORY} events.` : "";
    if (this.#trace === null) this.#follow(events.find(({ trace_id }) => trace_id)?.trace_id ?? "");
  }

  #summarize(session) {
    const players = session.connected_players.length ? el("ul", { className: "chips" }, ...session.connected_players.map((player) => el("li", {}, name(player)))) : el("p", { className: "soft" }, "Nobody is in it.");
    this.summary.replaceChildren(
      facts([
        ["State", [badge(session.status), session.end_reason ? [" ", name(session.end_reason)] : ""].flat()],
        ["Zone", opener("zone", session.zone_id)],
        ["Host", opener("host", session.host_id)],
        ["Epoch", whole(session.epoch)],
        ["Players", of(session.current_players, session.max_players)],
        ["Connection", session.connection_type],
        ["Latency", ms(session.average_latency_ms)],
        ["Loss", session.average_packet_loss_percent == null ? "–" : `${tenths(session.average_packet_loss_percent)} %`],
        ["Begun", [ago(session.created_at), " ago"]],
        ["Last activity", [ago(session.last_activity_at), " ago"]],
      ]),
      el("section", { ariaLabel: "Players" }, el("h3", {}, "Players"), players),
    );
  }

  #line(event) {
    const who = [...event.players_joined.map((player) => ["+", player]), ...event.players_left.map((player) => ["−", player])];
    const shown = who.slice(0, 4).flatMap(([sign, player]) => [` ${sign} `, name(player)]);
    const trace = event.trace_id ? el("button", { type: "button", className: "quiet", ariaLabel: `show the trace of ${event.event}`, data: { trace: event.trace_id } }, "show") : el("span", { className: "soft", title: "Not every change is traced." }, "–");
    return el(
      "tr",
      { data: { event: event.event } },
      el("td", {}, el("time", { dateTime: event.occurred_at, title: event.occurred_at }, clock(event.occurred_at))),
      el("td", {}, event.event.replace("-", " "), event.reason && el("small", { title: figures(event.figures) }, name(event.reason))),
      el("td", { className: "number" }, whole(event.epoch)),
      el("td", {}, ...shown, who.length > 4 ? ` +${who.length - 4}` : ""),
      el("td", {}, trace),
    );
  }

  async #follow(id, again = true) {
    this.#trace = id;
    for (const button of this.history.querySelectorAll("[data-trace]")) button.ariaPressed = String(button.dataset.trace === id);
    if (!id) {
      this.trace.replaceChildren(el("p", { className: "soft" }, "None of its events was traced."));
      return;
    }
    const { jaeger_url: jaeger, traces } = this.about;
    const link = jaeger && el("a", { href: `${jaeger}/trace/${id}`, target: "_blank", rel: "noreferrer" }, "Open in Jaeger");
    const foot = el("p", { className: "soft trace-id" }, el("code", {}, id), link && " · ", link);
    if (!traces) {
      this.trace.replaceChildren(foot);
      return;
    }
    try {
      const trace = await ask(`/api/v1/traces/${id}`);
      if (this.#trace === id) this.trace.replaceChildren(waterfall(trace), foot);
      if (again) setTimeout(() => this.#trace === id && this.element.isConnected && this.#follow(id, false), SETTLE_MS);
    } catch (error) {
      if (this.#trace !== id) return;
      this.trace.replaceChildren(el("p", { className: "soft" }, error.message), foot);
      if (again && error.status === 404) setTimeout(() => this.#trace === id && this.element.isConnected && this.#follow(id, false), SETTLE_MS);
    }
  }
}
