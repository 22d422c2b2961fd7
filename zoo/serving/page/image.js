// Pictures: chosen, dropped or taken by the camera; and answers drawn on them.

import { Upload, fromBase64 } from "./api.js";
import { h } from "./dom.js";
import { filePicker } from "./file.js";

const HUES = 12;

/** A field for a picture. */
export function imagePicker(name, begin) {
  const show = (upload) => {
    const canvas = h("canvas", { role: "img", "aria-label": `The chosen picture, ${upload.name}` });
    paint(canvas, upload);
    return canvas;
  };
  return filePicker(name, { accept: "image/*", begin, show, tools: (take) => [camera(take)] });
}

/** Boxes on a picture: each [y0, x0, y1, x1] in its pixels, with a label and a score. */
export function boxesView(upload, boxes, labels, scores) {
  const names = boxes.map((_, i) => `${labels[i]} ${percent(scores[i])}`);
  const canvas = h("canvas", { role: "img", "aria-label": `The picture with ${boxes.length} boxes: ${names.join(", ")}` });
  paint(canvas, upload).then((context) => {
    const unit = Math.max(canvas.width, canvas.height) / 300;
    context.lineWidth = 1 + unit;
    context.font = `${5 + 9 * unit}px system-ui, sans-serif`;
    boxes.forEach(([top, left, bottom, right], i) => box(context, [top, left, bottom, right], names[i], hue(labels[i]), unit));
  });
  const list = h("ol", { class: "facts" }, names.map((each, i) => h("li", {}, `${each}, at ${boxes[i].map(Math.round).join(", ")}`)));
  return h("div", {}, canvas, h("details", {}, h("summary", {}, `${boxes.length} boxes as text (y0, x0, y1, x1)`), list));
}

/** A mask over a picture: a PNG of class ids of its size, each class in a colour of its own. */
export function maskView(upload, mask) {
  const canvas = h("canvas", { role: "img", "aria-label": "The picture with its segments in colours" });
  const legend = h("p", { class: "legend", role: "status" });
  paint(canvas, upload)
    .then(async (context) => {
      const shares = await overlay(context, fromBase64(mask));
      legend.replaceChildren(...shares.map(([id, part]) => swatch(id, `class ${id}: ${percent(part)}`)));
    })
    .catch(() => legend.replaceChildren("The mask is no PNG."));
  return h("div", {}, canvas, legend);
}

// As the model sees it: TensorFlow reads the pixels as they are stored, whatever the file says of its orientation.
async function paint(canvas, upload) {
  const context = canvas.getContext("2d");
  try {
    const bitmap = await createImageBitmap(upload.blob(), { imageOrientation: "none" });
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    context.drawImage(bitmap, 0, 0);
  } catch {
    canvas.replaceWith(h("p", { class: "bad" }, "This browser cannot read the picture; the server may."));
  }
  return context;
}

function box(context, [top, left, bottom, right], name, colour, unit) {
  context.strokeStyle = colour;
  context.strokeRect(left, top, right - left, bottom - top);
  const size = 5 + 9 * unit;
  const width = context.measureText(name).width + 2 * unit;
  const y = Math.max(0, top - 1.3 * size);
  context.fillStyle = colour;
  context.fillRect(left - unit / 2, y, width, 1.3 * size);
  context.fillStyle = "#fff";
  context.fillText(name, left + unit / 2, y + size);
}

async function overlay(context, bytes) {
  const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const small = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  small.drawImage(bitmap, 0, 0);
  const pixels = small.getImageData(0, 0, bitmap.width, bitmap.height);
  const counts = new Map();
  for (let at = 0; at < pixels.data.length; at += 4) {
    const id = pixels.data[at];
    counts.set(id, (counts.get(id) ?? 0) + 1);
    pixels.data.set([...rgb(id), id ? 140 : 0], at);
  }
  small.putImageData(pixels, 0, 0);
  context.drawImage(small.canvas, 0, 0, context.canvas.width, context.canvas.height);
  const all = bitmap.width * bitmap.height;
  return [...counts].sort((a, b) => b[1] - a[1]).map(([id, count]) => [id, count / all]);
}

const COLOURS = ["#5c5c5c", "#b3261e", "#0f6b5c", "#7a4fc4", "#9a5b00", "#1f66b8", "#a3317c", "#4a6b12", "#00687a", "#8a3f1d", "#3f4cc0", "#6b5a00"];

const rgb = (id) => [1, 3, 5].map((at) => parseInt(COLOURS[id % HUES].slice(at, at + 2), 16));

function hue(label) {
  let sum = 0;
  for (const letter of String(label)) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return COLOURS[1 + (sum % (HUES - 1))];
}

function swatch(id, text) {
  const square = h("span", { class: "swatch", "aria-hidden": "true" });
  square.style.background = id ? COLOURS[id % HUES] : "transparent";
  return h("span", {}, square, text);
}

const percent = (value) => `${(100 * Number(value)).toFixed(1)} %`;

function camera(take) {
  const video = h("video", { playsinline: true, muted: true, "aria-label": "What the camera sees" });
  const button = h("button", { type: "button", class: "quiet" }, "Camera");
  const place = h("div", { class: "camera" }, button);
  let stream = null;
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.remove();
    button.textContent = "Camera";
  };
  button.addEventListener("click", async () => {
    if (stream) {
      const picture = h("canvas", { width: video.videoWidth, height: video.videoHeight });
      picture.getContext("2d").drawImage(video, 0, 0);
      stop();
      picture.toBlob((blob) => take(new File([blob], "camera.jpg", { type: blob.type }), true), "image/jpeg", 0.95);
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.srcObject = stream;
      place.prepend(video);
      await video.play();
      button.textContent = "Take the picture";
    } catch {
      stop();
      button.textContent = "No camera";
    }
  });
  return place;
}
