/** What a JSON Schema says, for people: a type in words, and a table of fields. */

import { el } from "/console/dom.js";

const LIMITS = {
  minimum: (value) => `at least ${value}`,
  exclusiveMinimum: (value) => `more than ${value}`,
  maximum: (value) => `at most ${value}`,
  exclusiveMaximum: (value) => `less than ${value}`,
  minLength: (value) => `${value} characters or more`,
  maxLength: (value) => `up to ${value} characters`,
  minItems: (value) => `${value} or more`,
  maxItems: (value) => `up to ${value}`,
  pattern: (value) => `as ${value}`,
};

/** The last word of a reference. */
export const named = (reference) => reference.split("/").at(-1);

/** A link to where a message or schema is described. */
export const toSchema = (name) => el("a", { href: `#${name}` }, name);

/** @returns {(Node | string)[]} */
export function type(schema) {
  if (schema === true || schema === undefined || Object.keys(schema).length === 0) return ["anything"];
  if ("$ref" in schema) return [toSchema(named(schema.$ref))];
  if ("const" in schema) return [el("code", {}, JSON.stringify(schema.const))];
  if ("enum" in schema) return among(schema.enum.map((value) => [el("code", {}, JSON.stringify(value))]));
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options) return among(options.map(type));
  if (schema.type === "array") return ["list of ", ...type(schema.items)];
  if (schema.type === "object" && !schema.properties) return ["object of ", ...type(schema.additionalProperties)];
  return [schema.format ? `${schema.type}, ${schema.format}` : `${schema.type ?? "anything"}`];
}

const among = (types) => types.flatMap((each, index) => (index ? [" or ", ...each] : each));

function limits(schema) {
  const own = Object.entries(LIMITS).flatMap(([word, says]) => (word in schema ? [says(schema[word])] : []));
  return own.concat(...[...(schema.anyOf ?? []), ...(schema.items ? [schema.items] : [])].map(limits));
}

function usually(schema) {
  return "default" in schema && schema.default !== null && !("const" in schema) ? `else ${JSON.stringify(schema.default)}` : "";
}

/** The fields of an object, one row each. */
export function fields(schema) {
  const needed = new Set(schema.required);
  const rows = Object.entries(schema.properties ?? {}).map(([name, about]) =>
    el(
      "tr",
      {},
      el("td", {}, el("code", {}, name), needed.has(name) ? el("small", {}, " required") : ""),
      el("td", {}, ...type(about)),
      el("td", {}, ...words(about.description ?? ""), " ", [...limits(about), usually(about)].filter(Boolean).join(", ")),
    ),
  );
  return table(["field", "is", ""], rows);
}

/** @param {string[]} heads */
export function table(heads, rows) {
  const head = el("tr", {}, ...heads.map((words) => el("th", { scope: "col" }, words)));
  return el("div", { className: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

/** Paragraphs, lists and `code`, as descriptions are written. */
export function prose(text) {
  const blocks = [];
  for (const line of (text ?? "").trim().split("\n")) {
    const last = blocks.at(-1);
    if (line.startsWith("* ")) {
      if (last?.kind !== "list") blocks.push({ kind: "list", lines: [line.slice(2)] });
      else last.lines.push(line.slice(2));
    } else if (line.trim() === "") blocks.push({ kind: "gap", lines: [] });
    else if (last?.lines.length) last.lines.push(`${last.lines.pop()} ${line.trim()}`);
    else blocks.push({ kind: "text", lines: [line.trim()] });
  }
  return blocks
    .filter(({ lines }) => lines.length)
    .map(({ kind, lines }) => (kind === "list" ? el("ul", { className: "said" }, ...lines.map((line) => el("li", {}, ...words(line)))) : el("p", {}, ...words(lines[0]))));
}

/** A line with what stands between backticks as code. */
export const words = (line) => line.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
