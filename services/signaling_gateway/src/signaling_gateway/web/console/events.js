/** What happens, as it happens: one line for each fact, newest first. */

import { byId, clock, el, ms, name, opener, tenths } from "./dom.js";

const MOST = 150;
const OWNERS = { hosts: "hosts", sessions: "sessions", zones: "zones", gateway: "peers", jobs: "jobs" };

const QUIET = new Set(["jobs"]); // one every few seconds, and nearly always "done"

/** @typedef {{id: string, at: string, owner: string, thing: string, what: string, trace_id: string | null, [field: string]: any}} Line */

/** @type {Record<string, (line: Line) => (Node | string | false | null | undefined)[]>} */
const WORDS = {
  hosts: (line) => [opener("host", line.thing), ` ${line.what.replace("-", " ")}`, ...hostNote(line)],
  zones: (line) => [opener("zone", line.thing), ` ${line.what}`],
  sessions: (line) => [...players(line), ...sessionWords(line)],
  gateway: (line) => [name(line.peer_id ?? line.thing), ` ${gatewayWords(line)}`],
  jobs: (line) => [name(line.job ?? line.thing), ` ${line.what}`],
};

function hostNote(line) {
  if (line.what === "score-changed") return [` to ${tenths(line.quality_score)}`];
  const notes = [line.region && name(line.region), line.reason && name(line.reason)].filter(Boolean);
  return notes.flatMap((note) => [" · ", note]);
}

function players(line) {
  const named = line.players_joined ?? line.players_left;
  if (!named?.length || !["joined", "left", "created"].includes(line.what)) return [];
  const count = line.players_joined_count ?? line.players_left_count;
  const shown = named.slice(0, 2).flatMap((player, index) => [index ? ", " : "", name(player)]);
  return [...shown, count > 2 && ` +${count - 2}`, line.what === "created" ? " began " : ` ${line.what} `];
}

function sessionWords(line) {
  const said = (line.players_joined ?? line.players_left)?.length && ["joined", "left", "created"].includes(line.what);
  const where = [opener("session", line.thing), !said && ` ${line.what.replace("-", " ")}`, line.zone_id && " in ", line.zone_id && name(line.zone_id)];
  const host = ["created", "migrated"].includes(line.what) && line.host_id ? [" on ", opener("host", line.host_id)] : [];
  return [...where, ...host, line.what === "migrated" && ` · epoch ${line.epoch}`, line.reason && " · ", line.reason && name(line.reason)];
}

function gatewayWords(line) {
  if (line.what !== "ice") return line.what;
  const how = line.candidate_type ? ` by ${line.candidate_type}` : "";
  return `ICE ${line.state ?? ""}${how}${Number.isFinite(line.elapsed_ms) ? ` in ${ms(line.elapsed_ms)}` : ""}`;
}

const BAD = new Set(["offline", "failed", "fell-back", "deleted"]);
const WARN = new Set(["suspect", "draining", "disconnected", "migrating"]);
const GOOD = new Set(["online", "registered", "created", "joined", "migrated", "activated", "connected"]);

function toneOf({ what, state }) {
  if (BAD.has(what) || state === "failed") return "bad";
  if (WARN.has(what)) return "warn";
  return GOOD.has(what) ? "good" : "calm";
}

export class Events {
  #known = new Set();
  #held = [];
  #paused = false;

  constructor() {
    this.list = byId("events");
    for (const [owner, label] of Object.entries(OWNERS)) {
      const box = el("input", { type: "checkbox", checked: !QUIET.has(owner) });
      this.list.toggleAttribute(`data-without-${owner}`, !box.checked);
      box.addEventListener("change", () => this.list.toggleAttribute(`data-without-${owner}`, !box.checked));
      byId("owners").append(el("label", {}, box, label));
    }
    byId("pause").addEventListener("click", () => this.#pause(!this.#paused));
  }

  /** @param {{lines: Line[], skipped: number}} facts oldest first */
  tell({ lines, skipped }) {
    if (skipped) this.#held.push(el("li", { className: "skipped" }, `${skipped} more, too many to show`));
    for (const line of lines) {
      const id = line.id ?? `${line.owner} ${line.thing} ${line.what} ${line.at}`;
      if (this.#known.has(id)) continue;
      this.#known.add(id);
      this.#held.push(this.#entry(line));
    }
    if (!this.#paused) this.#release();
    else byId("pause").textContent = `Resume (${this.#held.length})`;
  }

  #pause(paused) {
    this.#paused = paused;
    byId("pause").ariaPressed = String(paused);
    byId("pause").textContent = paused ? "Resume" : "Pause";
    if (!paused) this.#release();
  }

  #release() {
    if (!this.#held.length) return;
    this.list.prepend(...this.#held.slice(-MOST).reverse());
    this.#held = [];
    while (this.list.children.length > MOST) this.list.lastElementChild.remove();
    if (this.#known.size > 20 * MOST) this.#known = new Set([...this.#known].slice(-2 * MOST));
    byId("no-events").hidden = true;
  }

  #entry(line) {
    const say = WORDS[line.owner] ?? (() => [name(line.thing), ` ${line.what}`]);
    const words = el("span", { className: "words" }, ...say(line));
    return el("li", { data: { owner: line.owner, tone: toneOf(line), what: line.what, thing: line.thing } }, el("time", { dateTime: line.at, title: line.at }, clock(line.at)), words);
  }
}
