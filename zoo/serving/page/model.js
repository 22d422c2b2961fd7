// One model: its signatures, the form, the answer, the lines to copy, its metrics and its card.

import { ServerError, predict, signatures } from "./api.js";
import { answerView, attentionOf } from "./answers.js";
import { cardView } from "./card.js";
import { freshId, h } from "./dom.js";
import { FieldError, makeFields, readFields } from "./forms.js";
import { metricsPanel } from "./metrics.js";
import { snippets } from "./snippets.js";

/** Everything about a model, as elements. `model` is an entry of the server's list; `first` the signature to begin with. */
export async function modelView(model, first, onSignature) {
  const available = model.versions.filter((each) => each.state === "AVAILABLE").map((each) => each.version);
  const known = await signatures(model.name);
  const place = h("div", {});
  const begin = first in known ? first : Object.keys(known)[0];
  const version = available.length > 1 ? select("Version", ["newest", ...available]) : null;
  const metrics = metricsPanel(model.name);
  const chosen = () => (version && version.box.value !== "newest" ? version.box.value : null);
  let fields = [];
  const show = (name) => {
    onSignature(name);
    const kept = fields.filter((field) => field.raw()).map((field) => [field.name, field.raw()]);
    const { inputs } = known[name];
    fields = makeFields(inputs, { ...model.examples[name], ...Object.fromEntries(kept) });
    place.replaceChildren(workbench(model, known, name, fields, chosen, metrics.renew));
  };
  const choice = signatureChoice(known, begin, model.about, show);
  show(begin);
  await metrics.renew();
  const card = model.card ? h("details", { class: "panel", open: true }, h("summary", {}, "Card"), cardView(model.card)) : null;
  return [h("h2", { tabindex: -1 }, model.name), h("div", { class: "choices" }, choice, version?.element), place, metrics.element, card];
}

function select(title, values) {
  const box = h("select", { id: freshId("choice") }, values.map((value) => h("option", {}, value)));
  return { box, element: h("div", { class: "field" }, h("label", { for: box.id }, title), box) };
}

function signatureChoice(known, begin, about, show) {
  const group = freshId("signature");
  const told = h("p", { class: "muted", role: "status" }, about[begin] ?? "");
  const choices = Object.keys(known).map((name) => {
    const box = h("input", { type: "radio", name: group, value: name, id: freshId("choice"), checked: name === begin });
    box.addEventListener("change", () => {
      told.textContent = about[name] ?? "";
      show(name);
    });
    return [box, h("label", { for: box.id }, name)];
  });
  return h("fieldset", { class: "signatures" }, h("legend", {}, "Signature"), h("div", { class: "segments" }, choices), told);
}

/** The form of a signature and, below it, what came of it; `asked` is called when an answer has come. */
function workbench(model, known, name, fields, version, asked) {
  const signature = known[name];
  const button = h("button", { type: "submit", class: "loud" }, "Ask");
  const time = h("span", { class: "muted", role: "status" });
  const result = h("section", { "aria-label": "Answer", "aria-live": "polite", class: "result" });
  const below = h("div", {});
  const form = h("form", { class: "panel", "aria-label": `Request to ${name}` }, fields.map((field) => field.element), h("p", { class: "send" }, button, time));
  const clock = stopwatch(time);
  const send = async () => {
    const inputs = await readFields(fields, signature.inputs);
    const request = { model: model.name, version: version(), signature: name, inputs };
    below.replaceChildren(snippets(request));
    const answer = await predict(request, signature);
    clock(answer.milliseconds);
    const drawn = answerView(answer.outputs, inputs);
    result.replaceChildren(h("div", { class: "panel" }, drawn));
    const looked = await attentionTo(request, known, name);
    if (looked) drawn.append(looked);
    await asked();
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true"); // not `disabled`, which would take the focus away
    time.textContent = "asking …";
    try {
      await send();
    } catch (error) {
      time.textContent = "";
      result.replaceChildren(problem(error));
      if (error instanceof FieldError) error.field.focus();
    }
    button.removeAttribute("aria-disabled");
  });
  return h("div", {}, form, result, below);
}

/** For an answer in text: what it looked at, where the model has a signature `attention` of the same inputs. */
async function attentionTo(request, known, name) {
  const other = known.attention;
  const same = (side) => Object.keys(side.inputs).join();
  if (name !== "serving_default" || !other?.outputs.weights || same(other) !== same(known[name])) return null;
  try {
    const answer = await predict({ ...request, signature: "attention" }, other);
    return attentionOf(answer.outputs);
  } catch (error) {
    if (error instanceof ServerError) return null; // the answer itself stands already
    throw error;
  }
}

function stopwatch(time) {
  const taken = [];
  return (milliseconds) => {
    taken.push(milliseconds);
    const middle = [...taken].sort((a, b) => a - b)[Math.floor(taken.length / 2)];
    const several = taken.length > 2 ? `; median of ${taken.length}: ${middle.toFixed(1)} ms` : "";
    time.textContent = `${milliseconds.toFixed(1)} ms there and back${several}`;
  };
}

function problem(error) {
  const known = error instanceof ServerError || error instanceof FieldError;
  if (!known) console.error(error);
  const code = error.status ? `${error.status}: ` : "";
  return h("p", { class: "panel bad", role: "alert" }, code, error.message);
}
