// Sound: a file or the microphone; and words over its wave form.

import { Upload } from "./api.js";
import { h, share, svg } from "./dom.js";
import { filePicker } from "./file.js";

const RATE = 16000; // samples a second of what this page makes
const COLUMNS = 600; // of a wave form
const LONGEST_SECONDS = 30;

/** A field for sound. A WAV file goes as it is; anything else becomes one here, since that is what models read. */
export function soundPicker(name, begin) {
  const show = (upload) => {
    const player = h("audio", { controls: true, src: URL.createObjectURL(upload.blob()), "aria-label": upload.name });
    return h("div", {}, wave(upload), player);
  };
  return filePicker(name, { accept: "audio/*", begin, prepare, show, tools: (take) => [microphone(take)] });
}

/** Words where they were said: `starts` and `ends` in seconds; a word plays from its beginning. */
export function wordsView(upload, { words, starts, ends, confidences }) {
  const player = h("audio", { controls: true, src: URL.createObjectURL(upload.blob()), "aria-label": upload.name });
  const track = h("div", { class: "words" });
  const picture = wave(upload, (seconds) => {
    words.forEach((word, i) => {
      const sure = confidences ? `, ${Math.round(100 * confidences[i])} % sure` : "";
      const told = `${word}, ${Number(starts[i]).toFixed(2)} to ${Number(ends[i]).toFixed(2)} s${sure}`;
      const button = h("button", { type: "button", class: "word", title: told, "aria-label": `Play from ${told}` }, word);
      share(button, "left", starts[i] / seconds);
      share(button, "width", (ends[i] - starts[i]) / seconds);
      button.addEventListener("click", () => {
        player.currentTime = starts[i];
        player.play();
      });
      track.append(button);
    });
  });
  return h("div", {}, h("div", { class: "timeline" }, h("div", { class: "stretch" }, picture, track)), player);
}

function wave(upload, known = () => {}) {
  const path = svg("path");
  const label = `The wave form of ${upload.name}`;
  const frame = { viewBox: `0 -1 ${COLUMNS} 2`, preserveAspectRatio: "none", class: "wave", role: "img", "aria-label": label };
  const picture = svg("svg", frame, path);
  decode(upload.bytes)
    .then((sound) => {
      path.setAttribute("d", outline(sound.getChannelData(0)));
      known(sound.duration);
    })
    .catch(() => picture.replaceWith(h("p", { class: "bad" }, "This browser cannot read the sound; the server may.")));
  return picture;
}

/** A line up and down through the loudest samples of each column. */
function outline(samples) {
  const step = samples.length / COLUMNS;
  const parts = [];
  for (let column = 0; column < COLUMNS; column += 1) {
    let [low, high] = [0, 0];
    for (let at = Math.floor(column * step); at < (column + 1) * step && at < samples.length; at += 1) {
      low = Math.min(low, samples[at]);
      high = Math.max(high, samples[at]);
    }
    parts.push(`M${column} ${(-high).toFixed(3)}V${(-low + 0.01).toFixed(3)}`);
  }
  return parts.join("");
}

/** The samples at RATE: a context of that rate resamples while it decodes. decodeAudioData empties what it is given. */
const decode = (bytes) => new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes.slice().buffer);

async function prepare(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const isWave = String.fromCharCode(...bytes.subarray(0, 4)) === "RIFF";
  if (isWave) return new Upload(file.name, bytes, "audio/wav");
  let sound;
  try {
    sound = await decode(bytes);
  } catch {
    throw new Error("This browser cannot read the sound. A WAV file would go to the server as it is.");
  }
  return new Upload(file.name.replace(/(\.[^.]*)?$/, ".wav"), toWav(mono(sound)), "audio/wav", true);
}

function mono(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  return channels[0].map((_, at) => channels.reduce((sum, each) => sum + each[at], 0) / channels.length);
}

/** A WAV file: 16-bit PCM, one channel, RATE. */
export function toWav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((each, i) => view.setUint8(at + i, each.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, value))), true));
  return new Uint8Array(view.buffer);
}

function microphone(take) {
  const button = h("button", { type: "button", class: "quiet" }, "Microphone");
  let recorder = null;
  const end = () => recorder?.state === "recording" && recorder.stop();
  button.addEventListener("click", async () => {
    if (recorder) return end();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const parts = [];
      const timer = setTimeout(end, 1000 * LONGEST_SECONDS);
      recorder = new MediaRecorder(stream);
      recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
      recorder.addEventListener("stop", () => {
        stream.getTracks().forEach((track) => track.stop());
        clearTimeout(timer);
        recorder = null;
        button.textContent = "Microphone";
        take(new File(parts, "microphone"));
      });
      recorder.start();
      button.textContent = "Stop recording";
    } catch {
      recorder = null;
      button.textContent = "No microphone";
    }
  });
  return button;
}
