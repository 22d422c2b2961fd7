// The page: the list of models beside the one that is looked at. The address keeps which: #/MODEL/SIGNATURE.

import { ServerError, access, listModels } from "./api.js";
import { freshId, h } from "./dom.js";
import { modelView } from "./model.js";

const LOOK_AGAIN = 5000; // milliseconds

const list = document.getElementById("models");
const work = document.getElementById("work");
let models = [];
let shown = null;

async function start() {
  document.getElementById("address").textContent = location.host;
  await refresh();
  await show();
  addEventListener("hashchange", () => wanted().name !== shown && show().catch(failed));
  setInterval(() => document.hidden || refresh().catch(() => {}), LOOK_AGAIN);
}

/** The model and the signature that the address names. */
function wanted() {
  const [, name = "", signature = ""] = location.hash.split("/").map(decodeURIComponent);
  return { name: models.some((model) => model.name === name) ? name : (models[0]?.name ?? null), signature };
}

async function refresh() {
  models = await listModels();
  const entries = models.map(entry);
  const text = (elements) => elements.map((each) => each.outerHTML).join();
  if (text(entries) !== text([...list.children])) list.replaceChildren(...entries); // else the focus would be lost
}

function entry(model) {
  const link = h("a", { href: `#/${encodeURIComponent(model.name)}` }, h("span", { class: "name" }, model.name));
  if (model.name === shown) link.setAttribute("aria-current", "page");
  const states = model.versions.map((each) =>
    h("span", { class: `state ${each.state.toLowerCase()}`, title: each.error || null }, `version ${each.version} ${each.state.toLowerCase()}`),
  );
  link.append(h("span", { class: "states" }, states));
  const failed = model.versions.filter((each) => each.error);
  return h("li", {}, link, failed.map((each) => h("p", { class: "bad" }, `${each.version}: ${each.error}`)));
}

async function show() {
  const { name, signature } = wanted();
  const again = shown !== null;
  shown = name;
  if (name === null) {
    work.replaceChildren(h("p", {}, "No model is being served."));
    return;
  }
  const keep = (chosen) => {
    if (shown === name) history.replaceState(null, "", `#/${encodeURIComponent(name)}/${encodeURIComponent(chosen)}`);
  };
  const view = await modelView(models.find((each) => each.name === name), signature, keep);
  if (shown !== name) return; // another was chosen meanwhile
  work.replaceChildren(...view.filter(Boolean));
  document.title = `${name} · Playground`;
  list.replaceChildren(...models.map(entry));
  if (again) work.querySelector("h2").focus();
}

/** A server that wants a bearer token gets it from the user. */
function askForToken() {
  const box = h("input", { type: "password", id: freshId("token"), autocomplete: "off" });
  const form = h("form", { class: "panel" }, h("label", { for: box.id }, "This server wants a bearer token"), box, h("button", { class: "loud" }, "Go on"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    access.set(box.value);
    start().catch(failed);
  });
  work.replaceChildren(form);
  box.focus();
}

function failed(error) {
  if (error instanceof ServerError && (error.status === 401 || error.status === 403)) askForToken();
  else work.replaceChildren(h("p", { class: "panel bad", role: "alert" }, error.message));
}

start().catch(failed);
