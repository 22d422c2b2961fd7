// A form made from a signature: a field for each input, by its type, its rank and its name.

import { freshId, h } from "./dom.js";
import { filePicker } from "./file.js";
import { imagePicker } from "./image.js";
import { soundPicker } from "./sound.js";

/** A field that cannot be sent as it stands; the message says why. */
export class FieldError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/**
 * The fields of a signature: [{name, element, focus(), read() -> the value of one row, raw() -> what stands in it}].
 * A field's read() throws an Error where nothing fit to send stands in it. begin: name -> what stands in it at first,
 * as raw() gave it, or a row's value.
 */
export function makeFields(inputs, begin = {}) {
  return Object.keys(inputs).map((name) => ({ name, ...makeField(name, inputs[name], begin[name] ?? null) }));
}

/** name -> value as the columnar form of a request has it: a list of one row, or a bare value where there are no rows. */
export async function readFields(fields, inputs) {
  const values = {};
  for (const field of fields) {
    try {
      const value = await field.read();
      values[field.name] = inputs[field.name].rank ? [value] : value;
    } catch (error) {
      throw new FieldError(field, `${field.name}: ${error.message}`);
    }
  }
  return values;
}

function makeField(name, { dtype, rank }, begin) {
  if (rank > 1) return listField(name, dtype, rank, begin);
  if (dtype === "bool") return switchField(name, begin);
  if (dtype !== "string") return numberField(name, dtype, begin);
  if (!name.endsWith("_bytes")) return textField(name, begin);
  if (/image|picture|photo/i.test(name)) return imagePicker(name, begin);
  return /audio|sound|speech|wave?/i.test(name) ? soundPicker(name, begin) : filePicker(name, { begin });
}

function textField(name, begin) {
  const box = h("textarea", { id: freshId("field"), rows: 3, spellcheck: "false", dir: "auto" });
  box.value = begin ?? "";
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) box.form.requestSubmit();
  });
  const read = () => {
    if (!box.value) throw new Error("write a text first.");
    return box.value;
  };
  return { ...labelled(name, "text", box), read, raw: () => box.value };
}

function numberField(name, dtype, begin) {
  const whole = /^u?int/.test(dtype);
  const box = h("input", { id: freshId("field"), type: "number", step: whole ? 1 : "any", value: begin ?? 0 });
  const read = () => {
    if (box.value === "") throw new Error("write a number first.");
    if (whole && !Number.isSafeInteger(Number(box.value))) throw new Error("this takes a whole number below 2^53.");
    return Number(box.value);
  };
  return { ...labelled(name, dtype, box), read, raw: () => box.value };
}

function switchField(name, begin) {
  const box = h("input", { id: freshId("field"), type: "checkbox", checked: begin === true });
  const element = h("p", { class: "field switch" }, box, " ", h("label", { for: box.id }, name));
  return { element, focus: () => box.focus(), read: () => box.checked, raw: () => box.checked };
}

function listField(name, dtype, rank, begin) {
  const example = `${"[".repeat(rank - 1)}${dtype === "string" ? '"a"' : "0"}${"]".repeat(rank - 1)}`;
  const box = h("textarea", { id: freshId("field"), rows: 3, spellcheck: "false", class: "code" });
  box.value = typeof begin === "string" ? begin : JSON.stringify(begin ?? JSON.parse(example));
  const read = () => {
    try {
      return JSON.parse(box.value);
    } catch {
      throw new Error(`this takes a list as JSON, such as ${example}.`);
    }
  };
  const depth = rank === 2 ? "a list" : `lists, ${rank - 1} deep`;
  return { ...labelled(name, `${depth} of ${dtype}, as JSON`, box), read, raw: () => box.value };
}

function labelled(name, kind, box) {
  const label = h("label", { for: box.id }, name, kind === name ? null : [" ", h("span", { class: "muted" }, kind)]);
  return { element: h("div", { class: "field" }, label, box), focus: () => box.focus() };
}
