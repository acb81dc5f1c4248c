/** Where the NPCs of a zone are: a small map, and the same as a table. */

import { ago, badge, byId, el, name, svg, tenths } from "./dom.js";

const MARGIN = 4; // tiles round the outermost
const LEAST = 20; // tiles: two who stand together are not a continent apart
const MOST_DRAWN = 1_000;
const MOST_LISTED = 200;

export class NpcMap {
  #dots = new Map();
  #npcs = new Map();

  constructor() {
    this.ground = svg("svg", { class: "npcs", role: "img", "aria-label": "Map of the NPCs", viewBox: "0 0 20 20", preserveAspectRatio: "xMidYMid meet" });
    this.note = el("p", { className: "soft", id: "npc-note" }, "Waiting for the AI world: a zone’s NPCs are told while it is played.");
    this.rows = el("tbody");
    this.table = el(
      "details",
      { hidden: true },
      el("summary", {}, "As a table"),
      el("div", { className: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...["NPC", "Class", "State", "x", "y"].map((head) => el("th", { scope: "col" }, head)))), this.rows)),
    );
    this.element = el("div", { className: "npc-map" }, this.ground, this.note, this.table);
  }

  /** All that is known, in one or more messages of the feed. */
  show(messages) {
    this.#npcs.clear();
    for (const npc of messages.flatMap(({ npcs }) => npcs)) this.#npcs.set(npc.npc_id, npc);
    const { ts, stale, environment } = { ...messages.at(-1), environment: messages[0].environment };
    this.#draw();
    const sky = [environment?.weather, environment?.time_of_day].filter((word) => typeof word === "string");
    this.note.replaceChildren(`${this.#npcs.size} NPCs, told `, ago(ts), " ago", ...sky.flatMap((word) => [" · ", name(word)]), ...(stale ? [" · ", badge("the AI world is silent", "warn")] : []));
    this.table.hidden = !this.#npcs.size;
    if (this.table.open || !this.rows.children.length) this.#list();
  }

  #list() {
    const rows = [...this.#npcs.values()].slice(0, MOST_LISTED).map((npc) =>
      el("tr", {}, el("th", { scope: "row" }, name(npc.name ?? npc.npc_id)), el("td", {}, name(npc.npc_class ?? "–")), el("td", {}, name(npc.status ?? "–")), el("td", { className: "number" }, tenths(npc.x)), el("td", { className: "number" }, tenths(npc.y))),
    );
    this.rows.replaceChildren(...rows);
  }

  #draw() {
    const placed = [...this.#npcs.values()].filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)).slice(0, MOST_DRAWN);
    if (placed.length) this.#fit(placed);
    const here = new Set(placed.map(({ npc_id }) => npc_id));
    for (const [id, dot] of this.#dots) {
      if (here.has(id)) continue;
      dot.remove();
      this.#dots.delete(id);
    }
    for (const npc of placed) this.#place(npc);
  }

  #place(npc) {
    if (!this.#dots.has(npc.npc_id)) {
      const dot = svg("circle", { r: this.size, class: "npc" }, svg("title"));
      dot.dataset.npc = npc.npc_id;
      this.#dots.set(npc.npc_id, dot);
      this.ground.append(dot);
    }
    const dot = this.#dots.get(npc.npc_id);
    dot.setAttribute("r", String(this.size));
    dot.style.setProperty("translate", `${npc.x}px ${-npc.y}px`); // maps count upward
    dot.firstChild.textContent = [npc.name ?? npc.npc_id, npc.npc_class, npc.status].filter(Boolean).join(" · ");
    dot.dataset.status = npc.status ?? "";
  }

  #fit(placed) {
    const [xs, ys] = [placed.map(({ x }) => x), placed.map(({ y }) => y)];
    const [left, top] = [Math.min(...xs) - MARGIN, -Math.max(...ys) - MARGIN];
    const width = Math.max(LEAST, Math.max(...xs) + MARGIN - left);
    const height = Math.max(LEAST / 2, MARGIN - Math.min(...ys) - top);
    this.size = Math.max(width, height) / 90;
    this.ground.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
  }
}

export const npcSection = (map) => el("section", { ariaLabel: "NPCs" }, el("h3", {}, "NPCs"), map.element);

/** Whether it is on the page still. */
export const isShown = (map) => byId("details-body").contains(map.element);
