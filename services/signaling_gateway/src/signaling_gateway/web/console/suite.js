/** The suite as a whole: what it stands on, key figures, joins, rates, instances. */

import { isSilent } from "./columns.js";
import { ago, bar, byId, el, ms, score, Sparkline, tenths, toneOf, whole } from "./dom.js";

const STORES = { nats: "NATS", postgres: "PostgreSQL", redis: "Redis" };
const SERVICES = ["signaling_gateway", "session_manager", "zone_manager", "host_registry", "scheduler", "prober"];
const OUTCOMES = { done: "told", failed: "failed" };
const WINDOW_MS = 5_000; // instances are asked every 2 s: rates over less would jump

/** Something that is made once and said again and again. */
class Figures {
  #entries = new Map();

  constructor(element) {
    this.element = element;
  }

  show(id, label, value, note, tone) {
    if (!this.#entries.has(id)) {
      const parts = { value: el("b"), note: el("small") };
      parts.entry = el("div", { data: { figure: id } }, el("dt", {}, label), el("dd", {}, parts.value, parts.note));
      this.#entries.set(id, parts);
      this.element.append(parts.entry);
    }
    const parts = this.#entries.get(id);
    parts.value.textContent = value;
    parts.note.textContent = note;
    parts.entry.dataset.tone = tone ?? "";
  }
}

export class Suite {
  #figures = new Figures(byId("figures"));
  #dots = new Map();
  #samples = [];
  #sparks = { facts: new Sparkline("Facts a second, the last minute"), requests: new Sparkline("Requests a second, the last minute") };
  #rates = new Map();

  constructor() {
    const words = { facts: "facts", requests: "requests" };
    for (const [id, spark] of Object.entries(this.#sparks)) {
      const figure = el("b", {}, "–");
      const note = el("small");
      this.#rates.set(id, { figure, note });
      byId("rates").append(el("div", { data: { rate: id } }, el("p", {}, figure, ` ${words[id]}`), spark.element, note));
    }
  }

  show({ at, dashboard, instances, facts }) {
    this.#health(dashboard.system, instances);
    this.#totals(dashboard);
    this.#joins(dashboard.joins);
    this.#messages(at, instances, facts);
  }

  /** Requests a second by instance, for the table of services. */
  rateOf(instance) {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const before = first?.requests.get(instance);
    const now = last?.requests.get(instance);
    return last && last.at > first.at && now >= before ? (now - before) / ((last.at - first.at) / 1000) : NaN;
  }

  #health(system, instances) {
    for (const [id, label] of Object.entries(STORES)) this.#dot(id, label, system[id], system[id]);
    const silent = new Map();
    for (const seen of instances) if (isSilent(seen)) silent.set(seen.service, (silent.get(seen.service) ?? 0) + 1);
    for (const service of new Set([...SERVICES, ...Object.keys(system.services)])) {
      const here = Math.max(0, (system.services[service] ?? 0) - (silent.get(service) ?? 0));
      const missing = silent.get(service) ?? 0;
      const state = !here ? "away" : missing ? "unknown" : "healthy";
      const words = !here ? "away" : missing ? `${here} answer, ${missing} silent` : here > 1 ? `${here} answer` : "answers";
      this.#dot(service, service.replace("signaling_", "").replace("_", " "), state, words, here > 1 ? here : "");
    }
  }

  #dot(id, label, state, words, count = "") {
    if (!this.#dots.has(id)) {
      const parts = { count: el("small"), words: el("span", { className: "unseen" }) };
      parts.item = el("li", { data: { part: id } }, label, parts.count, parts.words);
      this.#dots.set(id, parts);
      byId("health").append(parts.item);
    }
    const parts = this.#dots.get(id);
    parts.item.dataset.tone = state === "healthy" ? "good" : state === "unknown" ? "warn" : toneOf(state);
    parts.item.title = words;
    parts.count.textContent = count && ` ×${count}`;
    parts.words.textContent = `: ${words}`;
  }

  #totals({ hosts, zones, sessions, signaling, npc_feed: feed, jobs }) {
    const unknown = "not known";
    const figure = (id, label, part, value, note, tone) =>
      this.#figures.show(id, label, part.known ? value : "–", part.known ? note : unknown, part.known ? tone : "warn");
    figure("hosts", "Hosts online", hosts, whole(hosts.online), `of ${whole(hosts.total)}`);
    figure("score", "Mean score", hosts, hosts.online ? score(hosts.average_quality_score) : "–", "of hosts online");
    figure("sessions", "Live sessions", sessions, whole(sessions.active), `${whole(sessions.total)} ever`);
    figure("players", "Players", sessions, whole(sessions.total_players), "in sessions now");
    figure("latency", "Latency", sessions, ms(sessions.average_latency_ms), "mean of sessions");
    figure("zones", "Zones enabled", zones, whole(zones.enabled), `of ${whole(zones.total)}`);
    this.#figures.show("sockets", "Sockets", whole(signaling.active_connections), `in ${whole(signaling.active_sessions)} rooms`);
    const failing = jobs.failing.join(", ");
    const calendar = !jobs.leader ? "nobody leads" : failing ? "failed" : "on time";
    figure("jobs", "Jobs", jobs, calendar, failing || (jobs.leader ?? ""), calendar === "on time" ? "" : "bad");
    const told = feed.last_reported_at ? [ago(feed.last_reported_at), " ago"] : ["not yet"];
    figure("feed", "NPC feed", feed, OUTCOMES[feed.outcome] ?? "–", "", feed.outcome === "failed" ? "bad" : "");
    byId("figures").querySelector("[data-figure=feed] small").replaceChildren(...(feed.known ? told : [unknown]));
  }

  #joins({ begun, direct, relayed, failed, p50_ms, p95_ms }) {
    const row = (label, count, tone) =>
      el("li", { data: { join: label } }, el("span", {}, label), bar(begun ? count / begun : 0, tone), el("b", {}, whole(count)));
    const speed = p50_ms == null ? "Nobody has reported a connection yet." : `Half connected within ${p50_ms} ms, 95 % ${p95_ms == null ? "later than 25 s" : `within ${p95_ms} ms`}.`;
    byId("joins").replaceChildren(
      el("ol", {}, row("begun", begun, "accent"), row("direct", direct, "good"), row("relayed", relayed, "warn"), row("failed", failed, "bad")),
      el("p", { className: "soft" }, speed),
    );
  }

  #messages(at, instances, facts) {
    const requests = new Map(instances.map(({ instance, requests }) => [instance, requests]));
    const sum = (values) => [...values].reduce((total, value) => total + value, 0);
    const sample = { at: Date.parse(at), facts, requests, total: sum(Object.values(facts)), asked: sum(requests.values()) };
    const last = this.#samples.at(-1);
    if (last && (sample.total < last.total || sample.asked < last.asked || sample.at - last.at > 3 * WINDOW_MS)) this.#samples = []; // begun anew
    this.#samples.push(sample);
    while (this.#samples.length > 2 && sample.at - this.#samples[0].at > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    const seconds = (sample.at - first.at) / 1000;
    if (seconds <= 0) return;
    const by = Object.entries(facts).map(([owner, count]) => [owner, (count - (first.facts[owner] ?? 0)) / seconds]);
    this.#rate("facts", (sample.total - first.total) / seconds, by);
    const services = new Map();
    for (const { service, instance } of instances) services.set(service, (services.get(service) ?? 0) + (this.rateOf(instance) || 0));
    this.#rate("requests", (sample.asked - first.asked) / seconds, [...services]);
  }

  #rate(id, value, parts) {
    this.#sparks[id].add(value);
    const { figure, note } = this.#rates.get(id);
    figure.textContent = tenths(value);
    const busiest = parts.filter(([, rate]) => rate >= 0.05).sort((a, b) => b[1] - a[1]).slice(0, 3);
    note.textContent = busiest.map(([who, rate]) => `${who.replace("_", " ")} ${tenths(rate)}`).join(" · ") || "quiet";
  }
}
