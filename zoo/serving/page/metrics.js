// What the server counts of a model, where it has its metrics page switched on.

import { metrics } from "./api.js";
import { h } from "./dom.js";
import { factsView } from "./text.js";

const LINE = /^(:tensorflow:serving:\w+)\{(.*)\} (\S+)/;

/** The panel; null where the server has no metrics, or has counted nothing for this model yet. */
export async function metricsView(model) {
  const text = await metrics();
  const facts = text === null ? {} : read(text, model);
  return Object.keys(facts).length ? h("details", { class: "panel", open: true }, h("summary", {}, "Metrics"), factsView(facts)) : null;
}

/** The requests of a model by how they ended, and the mean time of those that succeeded (microseconds there). */
function read(text, model) {
  const facts = {};
  const totals = { sum: 0, count: 0 };
  for (const line of text.split("\n")) {
    const [, name, list, value] = LINE.exec(line) ?? [];
    const labels = Object.fromEntries([...(list ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((each) => [each[1], each[2]]));
    if (labels.model_name !== model) continue;
    const short = name.split(":").pop();
    if (/^request_count(_total)?$/.test(short)) facts[`requests ${labels.status}`] = Number(value);
    const part = /^request_latency_(sum|count)$/.exec(short)?.[1];
    if (part) totals[part] += Number(value);
  }
  if (totals.count) facts["mean time in the server"] = `${(totals.sum / totals.count / 1000).toFixed(1)} ms`;
  return facts;
}
