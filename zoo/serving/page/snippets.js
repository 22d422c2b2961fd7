// The request that was sent, as lines to copy: for a shell, and for Python.

import { Upload, access, body, predictPath } from "./api.js";
import { h } from "./dom.js";

// Stands where a file goes. No text of a user can look like it: in a JSON string its quotes would be escaped.
const EMPTY = JSON.stringify({ b64: "" });

/** The panel with both. */
export function snippets(request) {
  return h(
    "details",
    { class: "panel", open: true },
    h("summary", {}, "The same request elsewhere"),
    block("curl", curl(request)),
    block("Python", python(request)),
  );
}

/** A line for a POSIX shell; files are read from the folder that it runs in. */
export function curl(request) {
  const files = [];
  const stand = (file) => {
    files.push(file.name);
    return { b64: "" };
  };
  const pieces = JSON.stringify(body(request, stand)).split(EMPTY);
  const header = access.get() ? ` -H ${quote(`Authorization: Bearer ${access.get()}`)}` : "";
  const address = quote(location.origin + predictPath(request));
  if (!files.length) return `curl${header} -d ${quote(pieces[0])} ${address}`;
  const write = pieces.flatMap((piece, index) => {
    const text = `${index ? '"}' : ""}${piece}${index < files.length ? '{"b64":"' : ""}`;
    const file = index < files.length ? [`base64 < ${quote(files[index])} | tr -d '\\n'`] : [];
    return [`printf %s ${quote(text)}`, ...file];
  });
  return `{ ${write.join("; ")}; } |\n  curl${header} -d @- ${address}`;
}

/** The same for zoo's client. */
export function python(request) {
  const choices = [
    request.signature === "serving_default" ? "" : `, signature=${literal(request.signature)}`,
    request.version ? `, version=${request.version}` : "",
  ].join("");
  const files = Object.values(request.inputs).some((value) => [value].flat()[0] instanceof Upload);
  const client = access.get() ? `${literal(location.origin)}, token=${literal(access.get())}` : literal(location.origin);
  return [
    ...(files ? ["from pathlib import Path", ""] : []),
    "import zoo",
    "",
    `answer = zoo.Client(${client}).predict(${literal(request.model)}, ${literal(request.inputs)}${choices})`,
  ].join("\n");
}

function literal(value) {
  if (value instanceof Upload) return `Path(${literal(value.name)})`;
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === null) return "None";
  if (typeof value !== "object") return JSON.stringify(value); // a JSON string or number is Python's own
  return `{${Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`).join(", ")}}`;
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function block(title, text) {
  const code = h("pre", { tabindex: 0, role: "region", "aria-label": `${title} request` }, h("code", {}, text));
  const button = h("button", { type: "button", class: "quiet", "aria-label": `Copy the ${title} request` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // a page that came by plain HTTP may not write there: then by hand
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return h("div", { class: "snippet" }, h("h3", {}, title), button, code);
}
