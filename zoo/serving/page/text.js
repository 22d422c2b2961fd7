// Answers in words: texts, ranked texts, classes as bars, marked passages, and plain facts for what is none of these.

import { fromBase64 } from "./api.js";
import { h, share } from "./dom.js";

const MOST_BARS = 20;
const MOST_CHARACTERS = 2000;

/** The text of an answer. */
export const textView = (text) => h("p", { class: "answer", dir: "auto" }, text === "" ? h("em", {}, "(empty)") : text);

/** Several texts, best first, each with its score. */
export function rankedView(texts, scores) {
  const rows = texts.map((text, i) => h("li", { dir: "auto" }, text, " ", h("span", { class: "muted number" }, number(scores[i]))));
  return h("ol", { class: "ranked" }, rows);
}

/** Classes and their probabilities as bars, the most probable first. */
export function barsView(labels, values) {
  const order = labels.map((label, i) => [label, Number(values[i])]).sort((a, b) => b[1] - a[1]);
  const rows = order.slice(0, MOST_BARS).map(([label, value]) => {
    const bar = share(h("span", { class: "bar" }), "width", Math.min(1, Math.max(0, value)));
    return h("li", {}, h("span", { class: "name" }, String(label)), h("span", { class: "rail" }, bar), h("span", { class: "number" }, percent(value)));
  });
  const rest = order.length - rows.length;
  return h("div", {}, h("ul", { class: "bars" }, rows), rest > 0 ? h("p", { class: "muted" }, `and ${rest} more`) : null);
}

/** A text with passages marked: spans [{start, end, name}], in characters of the text, as people count them. */
export function spansView(text, spans) {
  const letters = Array.from(text);
  const parts = [];
  let at = 0;
  for (const { start, end, name } of [...spans].sort((a, b) => a.start - b.start)) {
    if (start < at) continue; // one inside another: the outer one is shown
    parts.push(letters.slice(at, start).join(""));
    parts.push(h("mark", {}, letters.slice(start, end).join(""), name ? h("span", { class: "tag" }, name) : null));
    at = end;
  }
  return h("p", { class: "answer spans", dir: "auto" }, parts, letters.slice(at).join(""));
}

/** Anything: name and value, one below the other. */
export function factsView(values) {
  const rows = Object.entries(values).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, fact(name, value))]);
  return rows.length ? h("dl", { class: "facts" }, rows) : null;
}

export const percent = (value) => `${(100 * Number(value)).toFixed(1)} %`;

function fact(name, value) {
  if (name.endsWith("_bytes") && value?.b64 !== undefined) return bytesFact(name, fromBase64(value));
  if (typeof value === "number") return number(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const size = Array.isArray(value) ? `${value.flat(Infinity).length} values: ` : "";
  return h("span", { dir: "auto" }, size, text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)} …` : text);
}

function bytesFact(name, bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 4));
  const kind = start === "\x89PNG" ? "image/png" : start.startsWith("\xff\xd8") ? "image/jpeg" : start === "RIFF" ? "audio/wav" : "";
  const address = URL.createObjectURL(new Blob([bytes], { type: kind }));
  const save = h("a", { href: address, download: name.replace(/_bytes$/, "") }, `Save ${bytes.length} bytes`);
  if (kind.startsWith("image")) return [h("img", { src: address, alt: `${name} of the answer` }), save];
  return kind ? [h("audio", { src: address, controls: true, "aria-label": `${name} of the answer` }), save] : save;
}

const number = (value) => (Number.isInteger(value) ? String(value) : Number(value).toPrecision(4)).replace("-", "−");
