// What the server counts of a model, where it has its metrics page switched on.

import { metrics } from "./api.js";
import { h } from "./dom.js";
import { factsView } from "./text.js";

const LINE = /^(:tensorflow:serving:\w+)\{(.*)\} (\S+)/;

/** Where the panel is, empty as long as there is nothing to show; and renew(), which asks again. */
export function metricsPanel(model) {
  const element = h("div", {});
  let there = true;
  const renew = async () => {
    if (!there) return;
    const text = await metrics();
    there = text !== null;
    const facts = there ? read(text, model) : {};
    const open = element.firstChild?.open ?? true;
    const panel = h("details", { class: "panel", open }, h("summary", {}, "Metrics"), factsView(facts));
    element.replaceChildren(...(Object.keys(facts).length ? [panel] : []));
  };
  return { element, renew };
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
