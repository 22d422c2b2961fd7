// Which view shows an answer: decided by the names of the outputs, as the house's signatures have them.

import { Upload } from "./api.js";
import { attentionView } from "./attention.js";
import { h } from "./dom.js";
import { boxesView, maskView } from "./image.js";
import { wordsView } from "./sound.js";
import { barsView, factsView, rankedView, spansView, textView } from "./text.js";

// The first that fits is taken: the outputs it needs (and uses up), what it needs of the inputs, and how it shows them.
const VIEWS = [
  {
    takes: ["source_pieces", "source_count", "target_pieces", "target_count", "weights"],
    show: (row) => attention(row),
  },
  {
    takes: ["boxes", "labels", "scores"],
    of: isFile,
    show: (row, file) => boxesView(file, row.boxes, row.labels, row.scores),
  },
  { takes: ["mask_bytes"], of: isFile, show: (row, file) => maskView(file, row.mask_bytes) },
  { takes: ["words", "starts", "ends"], may: ["confidences"], of: isFile, show: (row, file) => wordsView(file, row) },
  {
    takes: ["labels", "starts", "ends"],
    may: ["entities", "scores"],
    of: isText,
    show: (row, text) => spansView(text, row.starts.map((start, i) => ({ start, end: row.ends[i], name: row.labels[i] }))),
  },
  {
    takes: ["answer", "start", "end"],
    of: isText,
    input: "context",
    show: (row, text) => h("div", {}, textView(row.answer), spansView(text, [{ start: row.start, end: row.end }])),
  },
  { takes: ["labels", "probabilities"], show: (row) => barsView(row.labels, row.probabilities) },
  { takes: ["labels", "scores"], show: (row) => barsView(row.labels, row.scores) },
  { takes: ["label", "score"], show: (row) => barsView([row.label], [row.score]) },
  { takes: ["texts", "scores"], show: (row) => rankedView(row.texts, row.scores) },
  { takes: ["text"], show: (row) => textView(row.text) },
];

/** The answer to a request of one row. outputs: name -> value, as they came; inputs: name -> value, as they went. */
export function answerView(outputs, inputs) {
  const row = firstRow(outputs);
  const found = VIEWS.map((view) => [view, subject(view, row, inputs)]).find(([, subject]) => subject !== undefined);
  if (!found) return h("div", {}, factsView(row));
  const [view, given] = found;
  const used = [...view.takes, ...(view.may ?? []), "count", "truncated", "ok"];
  const rest = Object.fromEntries(Object.entries(row).filter(([name]) => !used.includes(name)));
  return h("div", {}, warning(row), row.ok === false ? null : view.show(row, given), factsView(rest));
}

/** The attention of an answer, from the outputs of the signature of that name. */
export const attentionOf = (outputs) => attention(firstRow(outputs));

function attention(row) {
  const weights = row.weights.slice(0, row.target_count).map((each) => each.slice(0, row.source_count));
  return attentionView(row.source_pieces.slice(0, row.source_count), row.target_pieces.slice(0, row.target_count), weights);
}

/** The input that a view speaks of; null where it needs none; undefined where the view does not fit. */
function subject(view, row, inputs) {
  if (!view.takes.every((name) => name in row)) return undefined;
  if (!view.of) return null;
  const values = view.input ? [inputs[view.input]] : Object.values(inputs);
  return values.map((value) => [value].flat()[0]).find(view.of);
}

function firstRow(outputs) {
  const row = Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [name, Array.isArray(value) && value.length === 1 ? value[0] : value]),
  );
  if (!Number.isInteger(row.count)) return row; // else lists came padded, and it says how long they are
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, Array.isArray(value) ? value.slice(0, row.count) : value]),
  );
}

function warning(row) {
  if (row.ok === false) return h("p", { class: "bad" }, "The model could not read this input.");
  return row.truncated === true ? h("p", { class: "bad" }, "The input was too long: its end was cut off.") : null;
}

function isFile(value) {
  return value instanceof Upload;
}

function isText(value) {
  return typeof value === "string";
}
