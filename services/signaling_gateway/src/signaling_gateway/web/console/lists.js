/** The lists: tabs, filters, pages, and a table whose rows stay where they are while they change. */

import { arrange, byId, el, whole } from "./dom.js";
import { TABLES } from "./columns.js";

const TYPED_MS = 350; // a filter is asked for when whoever types it pauses
const PAGE = 50;

export class Lists {
  #filters = {};
  #cursors = [];
  #next = null;
  #rows = new Map();
  #typing = 0;
  #services = [];

  /**
   * @param {(query: URLSearchParams) => void} onWatch
   * @param {(kind: string, id: string) => void} onOpen
   */
  constructor(onWatch, onOpen) {
    this.onWatch = onWatch;
    this.onOpen = onOpen;
    this.tabs = [...byId("tabs").children];
    this.table = byId("table");
    this.form = byId("filters");
    byId("tabs").addEventListener("click", ({ target }) => target.dataset.view && this.#show(target.dataset.view));
    byId("tabs").addEventListener("keydown", (event) => this.#walk(event));
    this.form.addEventListener("input", () => this.#typed());
    this.form.addEventListener("submit", (event) => this.#submitted(event));
    byId("next").addEventListener("click", () => this.#turn(() => this.#cursors.push(this.#next)));
    byId("back").addEventListener("click", () => this.#turn(() => this.#cursors.pop()));
    addEventListener("hashchange", () => this.start());
  }

  /** What the stream is asked for. */
  get query() {
    const query = new URLSearchParams({ view: this.view === "services" ? "hosts" : this.view, limit: String(this.view === "services" ? 1 : PAGE) });
    for (const [field, value] of Object.entries(this.#filters)) {
      if (field === "status" && value === "live") query.set("live", "true");
      else query.set(field, value);
    }
    const cursor = this.#cursors.at(-1);
    if (cursor) query.set("cursor", cursor);
    return query;
  }

  /** A part of a list has come. */
  show({ view, known, detail, page }) {
    if (view !== this.view) return;
    this.complain(known ? "" : `The list is not known at the moment: ${detail}`);
    if (!known) return;
    this.#next = page.next_cursor;
    this.#fill(page.items);
    const first = this.#cursors.length * PAGE;
    byId("pager").hidden = !first && !this.#next;
    byId("back").disabled = !first;
    byId("next").disabled = !this.#next;
    byId("rows").textContent = page.items.length ? `${whole(first + 1)} to ${whole(first + page.items.length)}` : "no more";
  }

  /** What is known of the processes has come; it is a list too. */
  showInstances(instances) {
    this.#services = instances;
    if (this.view === "services") this.#fill(instances);
  }

  /** Say above the list what is wrong with it; what it showed stays, and is seen to be old. */
  complain(words) {
    byId("unknown").hidden = !words;
    byId("unknown").textContent = words;
    this.table.toggleAttribute("data-old", Boolean(words));
  }

  /** Show what the address says. */
  start() {
    const [view, query] = location.hash.slice(1).split("?");
    const filters = Object.fromEntries(new URLSearchParams(query));
    this.#show(Object.hasOwn(TABLES, view) ? view : "hosts", filters);
  }

  #show(view, filters = {}) {
    this.view = view;
    this.#cursors = [];
    this.#filters = {};
    for (const tab of this.tabs) {
      const chosen = tab.dataset.view === view;
      tab.ariaSelected = String(chosen);
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) byId("panel").setAttribute("aria-labelledby", tab.id);
    }
    this.form.replaceChildren(...TABLES[view].filters.map((filter) => this.#field(filter, filters[filter.name] ?? "")));
    if (this.form.children.length) this.form.append(el("button", { type: "submit", className: "unseen" }, "Apply"));
    const heads = TABLES[view].columns.map(({ head, className = "" }) => el("th", { scope: "col", className }, head));
    this.table.tHead.replaceChildren(el("tr", {}, ...heads));
    this.table.ariaLabel = this.tabs.find((tab) => tab.dataset.view === view).textContent;
    byId("pager").hidden = byId("empty").hidden = true;
    this.#clear();
    this.#collect();
    this.#watch();
    if (view === "services") this.#fill(this.#services);
  }

  #field({ name, label, options, open }, value) {
    const about = { name, value, ariaLabel: label, className: open ? "find" : "" };
    if (!options) return el("input", { ...about, type: "search", placeholder: label, autocomplete: "off", spellcheck: false, data: { open: open ?? "" } });
    const choices = ["", ...options].map((option) => el("option", { value: option, selected: option === value }, option || "any state"));
    return el("select", { ...about }, ...choices);
  }

  #walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = this.tabs.indexOf(event.target);
    const to = step ? (at + step + this.tabs.length) % this.tabs.length : { Home: 0, End: this.tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    this.#show(this.tabs[to].dataset.view);
    this.tabs[to].focus();
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#filter(), TYPED_MS);
  }

  #submitted(event) {
    event.preventDefault();
    clearTimeout(this.#typing);
    const find = this.form.querySelector(".find");
    if (find?.value.trim()) this.onOpen(find.dataset.open, find.value.trim());
    this.#filter();
  }

  #filter() {
    const before = JSON.stringify(this.#filters);
    this.#collect();
    if (JSON.stringify(this.#filters) === before) return;
    this.#cursors = [];
    this.#watch();
  }

  #collect() {
    const fields = [...this.form.elements].filter(({ name, value }) => name && name !== "find" && value.trim());
    this.#filters = Object.fromEntries(fields.map(({ name, value }) => [name, value.trim()]));
  }

  #turn(move) {
    move();
    this.#watch();
    byId("list").scrollIntoView({ block: "nearest" });
  }

  #watch() {
    const filters = new URLSearchParams(this.#filters).toString();
    history.replaceState(null, "", `#${this.view}${filters && `?${filters}`}`);
    this.onWatch(this.query);
  }

  #clear() {
    this.#rows.clear();
    this.table.tBodies[0].replaceChildren();
    this.complain("");
  }

  #fill(items) {
    const { id, columns, empty } = TABLES[this.view];
    const rows = new Map();
    for (const item of items) {
      const key = id(item);
      const row = this.#rows.get(key) ?? { tr: el("tr", { data: { key } }), told: "" };
      const told = JSON.stringify(item);
      if (row.told !== told) this.#write(row.tr, columns, item);
      row.told = told;
      rows.set(key, row);
    }
    this.#rows = rows;
    arrange(this.table.tBodies[0], [...rows.values()].map(({ tr }) => tr));
    const around = this.table.parentElement;
    around.tabIndex = around.scrollWidth > around.clientWidth ? 0 : -1; // to be scrolled with the keyboard
    byId("empty").hidden = items.length > 0;
    byId("empty").textContent = empty;
  }

  #write(tr, columns, item) {
    columns.forEach(({ className = "", cell }, index) => {
      const made = el(index ? "td" : "th", { className, ...(index ? {} : { scope: "row" }) }, ...cell(item));
      const there = tr.children[index];
      if (!there) tr.append(made);
      else if (!there.isEqualNode(made)) this.#replace(there, made);
    });
  }

  #replace(there, made) {
    const focused = there.contains(document.activeElement);
    there.replaceWith(made);
    if (focused) made.querySelector("button")?.focus();
  }
}
