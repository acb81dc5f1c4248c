/** The drawer: one host, session or zone, kept up to date while it is open. */

import { ago, arrange, badge, bar, byId, el, ms, name, of, opener, score, tenths, whole } from "./dom.js";
import { basis, scoreTone } from "./columns.js";
import { facts, SessionDetails } from "./session.js";
import { NpcMap, npcSection } from "./npc_map.js";
import { ask } from "./stream.js";

const AGAIN_MS = 2_000;

const PARTS = { latency: ["Latency", 30], packet_loss: ["Packet loss", 20], room: ["Room", 25], cpu: ["Processor", 10], memory: ["Memory", 10], network: ["Network", 5] };

const BASIS = {
  measured: (host) => ["Latency and loss were measured by players or probes ", ago(host.measured_at), " ago."],
  claimed: () => ["Latency and loss are the host’s own word, and count little."],
  unknown: () => ["Nobody has said anything of latency and loss: they earn half their points."],
};

class HostDetails {
  constructor(id) {
    this.id = id;
    this.element = el("div");
    this.sessions = el("ul", { className: "plain" });
    this.standing = el("div");
    this.element.append(this.standing, el("section", { ariaLabel: "Sessions" }, el("h3", {}, "Its sessions"), this.sessions));
  }

  async refresh(signal) {
    const id = encodeURIComponent(this.id);
    const [standing, sessions] = await Promise.all([ask(`/api/v1/hosts/${id}/standing`, signal), ask(`/api/v1/sessions/host/${id}/active?limit=50`, signal)]);
    this.#show(standing);
    const rows = sessions.map((session) => el("li", {}, opener("session", session.session_id), " ", name(session.zone_id), el("span", { className: "soft" }, ` ${of(session.current_players, session.max_players)}, epoch ${session.epoch}`)));
    if (!this.sessions.contains(document.activeElement)) arrange(this.sessions, rows.length ? rows : [el("li", { className: "soft" }, "None now.")]);
  }

  #show({ host, score_parts: parts, seats_taken, slots_taken, rejections }) {
    const rows = Object.entries(PARTS).map(([part, [label, most]]) =>
      el("li", { data: { score: part } }, el("span", {}, label), bar(parts[part] / most, scoreTone((100 * parts[part]) / most)), el("b", {}, score(parts[part])), el("small", {}, ` of ${most}`)),
    );
    const machine = [host.cpu_cores && `${whole(host.cpu_cores)} cores`, host.memory_mb && `${tenths(host.memory_mb / 1024)} GiB`, host.network_speed_mbps && `${whole(host.network_speed_mbps)} Mbit/s`].filter(Boolean);
    this.standing.replaceChildren(
      facts([
        ["State", badge(host.status)],
        ["Player", name(host.player_name)],
        ["Region", host.region ? name(host.region) : "–"],
        ["Seats taken", of(seats_taken, host.max_players)],
        ["Zone slots taken", of(slots_taken, host.max_zones)],
        ["Socket", host.connected ? "open" : "none"],
        ["Latency", ms(host.latency_ms)],
        ["Loss", host.packet_loss_percent == null ? "–" : `${tenths(host.packet_loss_percent)} %`],
        ["Machine", machine.join(", ") || "not told"],
        ["Last beat", host.last_heartbeat ? [ago(host.last_heartbeat), " ago"] : "–"],
      ]),
      el("section", { ariaLabel: "Score" }, el("h3", {}, "Score"), el("p", { className: "score" }, el("b", { data: { tone: scoreTone(host.quality_score) } }, score(host.quality_score)), badge(basis(host), host.measured ? "good" : "calm"), el("span", { className: "soft" }, `confidence ${Math.round(100 * host.confidence)} %`)), el("ul", { className: "parts" }, ...rows), el("p", { className: "soft" }, ...BASIS[basis(host)](host))),
      rejections.length ? el("p", { className: "refused" }, `Given no session now: ${rejections.map((code) => code.replaceAll("_", " ")).join(", ")}.`) : "",
    );
  }
}

class ZoneDetails {
  constructor(id) {
    this.id = id;
    this.map = new NpcMap();
    this.summary = el("div");
    this.sessions = el("ul", { className: "plain" });
    this.element = el("div", {}, this.summary, npcSection(this.map), el("section", { ariaLabel: "Sessions" }, el("h3", {}, "Live sessions"), this.sessions));
  }

  async refresh(signal) {
    const id = encodeURIComponent(this.id);
    const [zone, sessions] = await Promise.all([ask(`/api/v1/zones/${id}`, signal), ask(`/api/v1/sessions/zone/${id}/active?limit=50`, signal)]);
    this.summary.replaceChildren(
      facts([
        ["Name", name(zone.zone_display_name)],
        ["State", badge(zone.status)],
        ["Hosted by", zone.p2p_enabled ? "players’ machines" : "the central server"],
        ["Players a session", whole(zone.max_players)],
        ["Score from", tenths(zone.min_host_quality_score)],
        ["Bandwidth from", `${whole(zone.min_bandwidth_mbps)} Mbit/s`],
        ["Latency up to", ms(zone.max_latency_ms)],
        ["Regions", zone.regions.length ? zone.regions.flatMap((region, index) => [index ? ", " : "", name(region)]) : "any"],
        ["Falls back to", zone.fallback_enabled ? (zone.fallback_endpoint ? name(zone.fallback_endpoint) : "the central server") : "nothing: it fails"],
        ["Players served", whole(zone.total_players_served)],
      ]),
    );
    const rows = sessions.map((session) => el("li", {}, opener("session", session.session_id), " on ", name(session.host_id), el("span", { className: "soft" }, ` ${of(session.current_players, session.max_players)}`)));
    if (!this.sessions.contains(document.activeElement)) arrange(this.sessions, rows.length ? rows : [el("li", { className: "soft" }, "None now.")]);
  }
}

const KINDS = { host: HostDetails, session: SessionDetails, zone: ZoneDetails };

export class Details {
  #shown = null;
  #abort = new AbortController();
  #timer = 0;
  #from = null;

  /** @param {() => any} about @param {() => void} onChange when another zone's NPCs are wanted, or none */
  constructor(about, onChange) {
    this.about = about;
    this.onChange = onChange;
    this.dialog = byId("details");
    byId("close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.#closed());
    this.dialog.addEventListener("click", ({ target }) => target === this.dialog && this.dialog.close());
  }

  /** The zone whose NPCs are on show. */
  get zone() {
    return this.#shown instanceof ZoneDetails ? this.#shown.id : null;
  }

  /** @param {keyof typeof KINDS} kind @param {string} id */
  open(kind, id) {
    this.#abort.abort();
    this.#shown = new KINDS[kind](id, this.about());
    byId("details-kind").textContent = kind;
    byId("details-title").replaceChildren(name(id));
    byId("details-body").replaceChildren(this.#shown.element);
    byId("details-body").dataset.state = "";
    if (!this.dialog.open) {
      this.#from = document.activeElement;
      this.dialog.showModal();
    }
    byId("details-title").focus();
    this.dialog.firstElementChild.scrollTop = 0;
    this.refresh();
    this.onChange();
  }

  showNpcs(messages) {
    if (this.#shown instanceof ZoneDetails && messages[0]?.zone_id === this.#shown.id) this.#shown.map.show(messages);
  }

  /** Something happened: look again if it is what is on show. */
  happened(lines) {
    if (this.#shown && lines.some(({ thing }) => thing === this.#shown.id)) this.refresh();
  }

  async refresh() {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const body = byId("details-body");
    try {
      if (!document.hidden) await this.#shown.refresh(signal);
      if (!signal.aborted) this.#say("");
    } catch (error) {
      if (signal.aborted) return;
      this.#say(error.status ? error.message : "The gateway does not answer.");
    }
    if (signal.aborted) return;
    body.dataset.state = "told";
    this.#timer = setTimeout(() => this.refresh(), AGAIN_MS);
  }

  #say(words) {
    const said = byId("details-body").querySelector(":scope > .unknown");
    if (said?.textContent === words) return;
    said?.remove();
    if (words) byId("details-body").prepend(el("p", { className: "unknown", role: "status" }, words));
  }

  #closed() {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#shown = null;
    byId("details-body").replaceChildren();
    const back = this.#from?.isConnected ? this.#from : document.querySelector('[role="tab"][aria-selected="true"]');
    back?.focus();
    this.onChange();
  }
}
