/** The console: what the stream tells goes to where it is shown. */

import { byId, clock, setClock, tick } from "./dom.js";
import { Details } from "./details.js";
import { Events } from "./events.js";
import { Lists } from "./lists.js";
import { Stream, key } from "./stream.js";
import { Suite } from "./suite.js";

let about = { traces: false, jaeger_url: null, enforced: false, gateway: "", version: "" };
let lostSince = null;

const suite = new Suite();
const events = new Events();
const stream = new Stream(heard, linked);
const details = new Details(() => about, watch);
const lists = new Lists(watch, (kind, id) => details.open(kind, id));

function watch() {
  const query = lists.query;
  if (details.zone) query.set("npcs", details.zone);
  stream.watch(query);
}

function heard(event, data) {
  switch (event) {
    case "about":
      about = data;
      byId("forget-key").hidden = !key.get();
      break;
    case "suite":
      setClock(data.at);
      suite.show(data);
      lists.showInstances(data.instances.map((seen) => ({ ...seen, rate: suite.rateOf(seen.instance) })));
      document.body.dataset.ready = "";
      break;
    case "list":
      lists.show(data);
      break;
    case "npcs":
      details.showNpcs(data);
      break;
    case "facts":
      events.tell(data);
      details.happened(data.lines);
      break;
  }
}

const WORDS = { connecting: "connecting", live: "live", lost: "connection lost", locked: "locked", refused: "live", asleep: "asleep" };

function linked(state, why) {
  document.body.dataset.link = state;
  byId("link-words").textContent = WORDS[state];
  byId("link").title = about.gateway && `by ${about.gateway}, ${about.version}`;
  lostSince = state === "lost" ? (lostSince ?? new Date()) : null;
  byId("lost").hidden = state !== "lost";
  if (state === "lost") byId("lost").textContent = `Connection lost at ${clock(lostSince)}. What you see is from then; trying again. ${why}`;
  if (state === "refused") lists.complain(why);
  if (state === "locked") lock(why);
}

function lock(why) {
  byId("key-refused").textContent = key.get() ? why : "";
  key.forget();
  byId("forget-key").hidden = true;
  if (byId("details").open) byId("details").close();
  if (!byId("key").open) byId("key").showModal();
  byId("key-input").value = "";
  byId("key-input").focus();
}

byId("key").addEventListener("cancel", (event) => event.preventDefault());
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("key-input").value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) {
    byId("key-refused").textContent = "That is no key: it has letters, digits and signs, without blanks.";
    return;
  }
  key.set(given);
  byId("key").close();
  stream.again();
});
byId("forget-key").addEventListener("click", () => {
  key.forget();
  stream.again();
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-open]");
  if (button?.tagName === "BUTTON") details.open(button.dataset.open, button.dataset.id);
  else if (!target.closest?.("button, a, input, select")) target.closest?.("#table tbody tr")?.querySelector("[data-open]")?.click();
});

setInterval(tick, 1000);
lists.start();
