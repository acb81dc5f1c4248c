/** The AsyncAPI document as a page: subjects and sockets, who says what there, and every message with an example. */

import { byId, el, say } from "/console/dom.js";
import { fields, named, prose, table, toSchema, words } from "/docs/messages/schemas.js";

/** In the order of the page: which channels, by their first tag. */
const PARTS = [
  ["WebSocket", (channel) => !channel.tags && channel.address],
  ["Requests on NATS", (channel) => channel.tags?.[0].name === "request" || !channel.address],
  ["Facts on NATS", (channel) => channel.tags?.[0].name === "fact"],
  ["Other words on NATS", (channel) => channel.tags?.[0].name === "message"],
];

const document_ = await load();
if (document_) show(document_);

async function load() {
  try {
    const answer = await fetch("/asyncapi.json");
    if (!answer.ok) throw new Error(`the gateway answered with ${answer.status}`);
    return await answer.json();
  } catch (error) {
    byId("lost").hidden = false;
    say(byId("lost"), `There is no document to show: ${error.message}. Load the page again.`);
    return null;
  }
}

function show(whole) {
  say(byId("about"), `${whole.info.title} ${whole.info.version}, AsyncAPI ${whole.asyncapi}`);
  const parts = PARTS.map(([title, belongs]) => [title, channels(whole, belongs)]);
  const { messages, schemas } = whole.components;
  parts.push(["Messages", Object.entries(messages).map(([name, about]) => message(whole, name, about))]);
  const others = Object.entries(schemas).filter(([name]) => !(name in messages));
  parts.push(["What messages are made of", others.map(([name, schema]) => part(name, schema))]);
  parts.push(["Codes and streams", [refusals(whole), closings(whole), streams(whole)]]);

  const entries = parts.flatMap(([title, articles]) => place(title, articles));
  byId("document").prepend(el("article", { id: "about-all" }, ...prose(whole.info.description)));
  byId("filter").addEventListener("input", ({ target }) => narrow(entries, target.value));
  window.document.body.dataset.ready = "";
  if (location.hash) location.replace(location.hash); // again, now that it is there
}

/** Puts a part on the page and into its contents. */
function place(title, articles) {
  const heading = el("h2", {}, title);
  const section = el("section", {}, heading, ...articles);
  const links = articles.map((article) => el("a", { href: `#${article.id}` }, article.dataset.name));
  const list = el("div", {}, el("h2", {}, title), ...links);
  byId("document").append(section);
  byId("contents").append(list);
  return articles.map((article, index) => ({ article, link: links[index], around: [section, list], text: article.textContent.toLowerCase() }));
}

/** Shows what has all these words, and of each part what is left of it. */
function narrow(entries, asked) {
  const wanted = asked.toLowerCase().split(/\s+/).filter(Boolean);
  const found = entries.filter((entry) => wanted.every((word) => entry.text.includes(word)));
  const left = new Set(found.flatMap(({ around }) => around));
  for (const { article, link, around } of entries) {
    article.hidden = link.hidden = true;
    for (const each of around) each.hidden = !left.has(each);
  }
  for (const { article, link } of found) article.hidden = link.hidden = false;
  byId("none").hidden = found.length > 0;
  byId("about-all").hidden = wanted.length > 0;
}

function article(id, name, ...content) {
  return el("article", { id, data: { name } }, el("h3", {}, el("code", {}, name)), ...content);
}

/** Rows of a definition list; those without content are left out. */
function facts(rows) {
  const shown = rows.filter(([, content]) => content?.length);
  return shown.length ? el("dl", { className: "facts" }, ...shown.flatMap(([term, content]) => [el("dt", {}, term), el("dd", {}, ...content)])) : "";
}

function separated(nodes) {
  return nodes.flatMap((node, index) => (index ? [", ", node] : [node]));
}

/* channels */

function channelId(name) {
  return `channel-${name}`;
}

function channels(whole, belongs) {
  return Object.entries(whole.channels)
    .filter(([, channel]) => belongs(channel))
    .map(([name, channel]) => {
      const operations = Object.values(whole.operations).filter((each) => named(each.channel.$ref) === name);
      const shown = channel.tags ? channel.address : name;
      return article(
        channelId(name),
        shown,
        ...prose(channel.description ?? (channel.address ? "" : "To the address that the request names.")),
        facts([
          ["address", channel.address && channel.address !== shown ? [el("code", {}, channel.address)] : []],
          ["in the URL", asked(channel)],
          ...operations.flatMap((operation) => spoken(operation)),
          ["kept in", channel["x-stream"] ? [el("a", { href: "#streams" }, channel["x-stream"])] : []],
        ]),
      );
    });
}

function asked(channel) {
  const query = channel.bindings?.ws?.query.properties ?? {};
  return Object.entries(query).map(([name, about]) => el("div", {}, el("code", {}, name), " ", ...words(about.description)));
}

function spoken(operation) {
  const listed = (messages) => separated(messages.map(({ $ref }) => toSchema(named($ref))));
  if (operation.reply) {
    const answers = operation.reply.messages.filter(({ $ref }) => named($ref) !== "Refusal");
    return [
      ["question", listed(operation.messages)],
      ["answer", listed(answers)],
      ["refused as", separated(operation["x-refusals"].map((code) => el("a", { href: "#refusals" }, el("code", {}, code))))],
      ["answered by", [operation.bindings.nats.queue ?? "every process that has something to say"]],
      ["asked by", [operation["x-asked-by"].join(", ")]],
    ];
  }
  return [[operation.action === "receive" ? "the suite hears" : "the suite says", listed(operation.messages)]];
}

/* messages */

function message(whole, name, about) {
  const schema = whole.components.schemas[named(about.payload.$ref)];
  const [example] = about.examples ?? [];
  return article(
    name,
    name,
    el("p", {}, ...words(about.summary)),
    facts([["passes on", separated(passes(whole, name))]]),
    ...description(schema),
    example && el("details", {}, el("summary", {}, "Example"), el("pre", { tabIndex: 0 }, JSON.stringify(example.payload, null, 2))),
    about.headers && el("details", {}, el("summary", {}, "Headers"), fields(about.headers)),
  );
}

/** Links to the channels where it is said, as a question, an answer or by itself. */
function passes(whole, name) {
  const is = ({ $ref }) => named($ref) === name;
  const found = Object.values(whole.operations).filter(({ messages, reply }) => messages.some(is) || (name !== "Refusal" && reply?.messages.some(is)));
  const where = new Set(found.map(({ channel }) => named(channel.$ref)));
  return [...where].map((channel) => el("a", { href: `#${channelId(channel)}` }, el("code", {}, whole.channels[channel].tags ? whole.channels[channel].address : channel)));
}

function part(name, schema) {
  return article(name, name, ...prose(schema.description), ...description(schema));
}

function description(schema) {
  if (schema.enum) return [el("p", {}, ...separated(schema.enum.map((value) => el("code", {}, JSON.stringify(value)))))];
  return schema.properties ? [fields(schema)] : [];
}

/* what stands beside */

function refusals(whole) {
  const rows = Object.entries(whole["x-refusals"]).map(([code, meaning]) => row(code, meaning, whole["x-try-again"][code]));
  return tabled("refusals", "Codes of refusals", ["code", "means", "try again?"], rows);
}

function closings(whole) {
  const rows = Object.entries(whole["x-close-codes"]).map(([code, { meaning, try_again: again }]) => row(code, meaning, again));
  return tabled("closings", "Close codes of WebSockets", ["code", "means", "try again?"], rows);
}

function streams(whole) {
  const rows = Object.entries(whole["x-streams"]).map(([name, about]) =>
    row(name, about.subjects.map((subject) => `\`${subject}\``).join(", "), about.max_age_s === null ? "" : `${about.max_age_s / 3600} h`),
  );
  return tabled("streams", "Streams of JetStream", ["stream", "keeps", "for"], rows);
}

function row(code, ...cells) {
  return el("tr", {}, el("td", {}, el("code", {}, code)), ...cells.map((cell) => el("td", {}, ...words(cell))));
}

function tabled(id, title, heads, rows) {
  return el("article", { id, data: { name: title } }, el("h3", {}, title), table(heads, rows));
}
