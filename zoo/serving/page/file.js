// Choosing a file: by its dialog, or dropped on the field.

import { Upload } from "./api.js";
import { freshId, h } from "./dom.js";

/**
 * A field that takes a file.
 *
 * accept: the types that its dialog offers. prepare: (File) -> Upload, or a promise of one. show: (Upload) -> the
 * element that lets one see or hear it. tools: (take) -> elements beside the dialog's button, such as a camera's, which
 * call take(File, true) with what they made. begin: the Upload that it holds at first.
 */
export function filePicker(name, { accept = "", prepare = asItIs, show = () => null, tools = () => [], begin = null } = {}) {
  let upload = begin;
  const box = h("input", { id: freshId("field"), type: "file", accept });
  const told = h("div", { class: "chosen", role: "status" });
  const tell = () => told.replaceChildren(...[show(upload), describe(upload)].filter(Boolean));
  if (upload) tell();
  const take = async (file, made = false) => {
    if (!file) return;
    upload = null;
    try {
      upload = await prepare(file);
      upload.made ||= made;
      tell();
    } catch (error) {
      told.replaceChildren(h("p", { class: "bad" }, error.message));
    }
  };
  box.addEventListener("change", () => take(box.files[0]));
  const element = h(
    "div",
    { class: "field drop" },
    h("label", { for: box.id }, name, " ", h("span", { class: "muted" }, "drop a file here, or choose one")),
    h("div", { class: "tools" }, box, tools(take)),
    told,
  );
  takeDrops(element, take);
  const read = () => {
    if (!upload) throw new Error("choose a file first.");
    return upload;
  };
  return { element, focus: () => box.focus(), read, raw: () => upload };
}

/** A way to keep bytes that were made on this page, under the name that the lines to copy give them. */
export function saveLink(upload) {
  return h("a", { href: URL.createObjectURL(upload.blob()), download: upload.name }, `Save ${upload.name}`);
}

async function asItIs(file) {
  return new Upload(file.name, new Uint8Array(await file.arrayBuffer()), file.type);
}

function describe(upload) {
  const size = `${upload.name}, ${(upload.bytes.length / 1000).toFixed(1)} kB`;
  return h("p", { class: "muted" }, size, upload.made ? [" (made by this page) ", saveLink(upload)] : null);
}

function takeDrops(element, take) {
  const over = (event) => {
    event.preventDefault();
    element.classList.toggle("over", event.type === "dragover");
  };
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", over);
  element.addEventListener("drop", (event) => {
    over(event);
    take(event.dataTransfer.files[0]);
  });
}
