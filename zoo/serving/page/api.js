// Speaking to the server: TensorFlow Serving's REST API, the list of models, the metrics.

/** What the server answered instead of a result. */
export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** A file that goes into a request; `bytes` is a Uint8Array; `made`: by this page, so that it is on no disk yet. */
export class Upload {
  constructor(name, bytes, type, made = false) {
    Object.assign(this, { name, bytes, type, made });
  }

  blob() {
    return new Blob([this.bytes], { type: this.type });
  }
}

let token = "";

/** The bearer token of a server that wants one; kept as long as the page is open. */
export const access = {
  get: () => token,
  set: (value) => {
    token = value;
  },
};

/** [{name, versions: [{version, state, error}], card, about}] */
export const listModels = async () => parse(await ask("/playground/models.json")).models;

/** The signatures of a model: name -> {inputs, outputs}, each name -> {dtype, rank}. */
export async function signatures(model, version) {
  const reply = parse(await ask(`${path(model, version)}/metadata`));
  const found = Object.entries(reply.metadata.signature_def.signature_def).filter(([name]) => !name.startsWith("__"));
  const order = ([name]) => (name === "serving_default" ? "" : name);
  found.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  return Object.fromEntries(
    found.map(([name, each]) => [name, { inputs: tensors(each.inputs), outputs: tensors(each.outputs) }]),
  );
}

/** The path of a request; `request` is {model, version, signature, inputs: name -> value}. */
export const predictPath = (request) => `${path(request.model, request.version)}:predict`;

/** The body of a request as a plain object; `file` makes of an Upload what stands for it. */
export function body(request, file) {
  const named = request.signature === "serving_default" ? {} : { signature_name: request.signature };
  return { ...named, inputs: replaceFiles(request.inputs, file) };
}

/** Asks a signature. Returns {outputs: name -> value, milliseconds}: the time from sending to the last byte. */
export async function predict(request, signature) {
  const content = JSON.stringify(body(request, (file) => ({ b64: base64(file.bytes) })));
  const began = performance.now();
  const text = await ask(predictPath(request), content);
  const milliseconds = performance.now() - began;
  const answer = parse(text).outputs;
  const names = Object.keys(signature.outputs);
  return { outputs: names.length === 1 ? { [names[0]]: answer } : answer, milliseconds };
}

/** The text of the metrics page; null where the server has none. */
export async function metrics() {
  try {
    return await ask("/monitoring/prometheus/metrics");
  } catch (error) {
    if (error instanceof ServerError) return null;
    throw error;
  }
}

/** Bytes that the server wrote as {"b64": …}. */
export const fromBase64 = (value) => Uint8Array.from(atob(value.b64), (letter) => letter.charCodeAt(0));

function path(model, version) {
  return `/v1/models/${encodeURIComponent(model)}${version ? `/versions/${version}` : ""}`;
}

function tensors(side = {}) {
  const shape = (info) => info.tensor_shape ?? {};
  return Object.fromEntries(
    Object.entries(side)
      .sort()
      .map(([name, info]) => [
        name,
        {
          dtype: info.dtype.replace(/^DT_/, "").toLowerCase(),
          rank: shape(info).unknown_rank ? 1 : (shape(info).dim ?? []).length,
        },
      ]),
  );
}

async function ask(address, content) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let reply;
  let text;
  try {
    reply = await fetch(address, { method: content === undefined ? "GET" : "POST", body: content, headers });
    text = await reply.text();
  } catch {
    throw new ServerError(0, "The server does not answer. Is it still running?");
  }
  if (reply.ok) return text;
  let message = text.slice(0, 500);
  try {
    message = JSON.parse(text).error ?? message;
  } catch {
    // not JSON: the text as it is
  }
  throw new ServerError(reply.status, message || reply.statusText);
}

/** JSON as TensorFlow Serving writes it: NaN and Infinity stand bare in it, and become strings here. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    const strict = text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (part) => (part[0] === '"' ? part : `"${part}"`));
    return JSON.parse(strict);
  }
}

function replaceFiles(value, file) {
  if (value instanceof Upload) return file(value);
  if (Array.isArray(value)) return value.map((each) => replaceFiles(each, file));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replaceFiles(each, file)]));
}

function base64(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += 32768) parts.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
  return btoa(parts.join(""));
}
