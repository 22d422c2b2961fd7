// What each piece of an answer looked at: the pieces of both texts, and a line for each weight between them.

import { h, svg } from "./dom.js";

const FAINTEST = 0.08; // weights below this get no line
const SPACE = "▁"; // SentencePiece's mark of a word's beginning

/**
 * The view. source, target: pieces as text; weights: a row for each piece of the target, a number for each of the source.
 * A piece that is pointed at, or has the focus, shows its own lines alone. Arrow keys go from piece to piece.
 */
export function attentionView(source, target, weights) {
  const lines = svg("svg", { class: "lines", "aria-hidden": "true" });
  const above = row("Source", source, (i) => strongest(target, weights.map((each) => each[i])));
  const below = row("Answer", target, (i) => strongest(source, weights[i]));
  const place = h("div", { class: "attention" }, above.element, below.element, lines);
  let chosen = null;

  const draw = () => {
    const frame = place.getBoundingClientRect();
    if (!frame.width) return;
    lines.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    lines.replaceChildren();
    if (!chosen && (wraps(above) || wraps(below))) return; // all lines at once would be a tangle
    const from = above.pieces.map((piece) => anchor(piece, frame, "bottom"));
    const to = below.pieces.map((piece) => anchor(piece, frame, "top"));
    weights.forEach((each, t) =>
      each.forEach((weight, s) => {
        if (weight < FAINTEST || !shows(chosen, s, t)) return;
        const middle = (from[s].y + to[t].y) / 2;
        const path = `M${from[s].x} ${from[s].y} C${from[s].x} ${middle} ${to[t].x} ${middle} ${to[t].x} ${to[t].y}`;
        lines.append(svg("path", { d: path, "stroke-opacity": weight.toFixed(3), "stroke-width": 1 + 3 * weight }));
      }),
    );
  };
  const choose = (next) => {
    chosen = next;
    above.pieces.forEach((piece, s) => shade(piece, chosen?.side === "below" ? weights[chosen.index][s] : 0));
    below.pieces.forEach((piece, t) => shade(piece, chosen?.side === "above" ? weights[t][chosen.index] : 0));
    draw();
  };
  above.listen((index) => choose(index === null ? null : { side: "above", index }));
  below.listen((index) => choose(index === null ? null : { side: "below", index }));
  new ResizeObserver(draw).observe(place);
  return h(
    "section",
    { "aria-label": "What each piece of the answer looked at" },
    h("p", { class: "muted" }, "What each piece looked at: point at one, or go along them with the arrow keys."),
    place,
    table(source, target, weights),
  );
}

const wraps = ({ pieces }) => pieces.length > 0 && pieces.at(-1).offsetTop > pieces[0].offsetTop;

const shows = (chosen, s, t) => !chosen || (chosen.side === "above" ? chosen.index === s : chosen.index === t);

function row(title, texts, told) {
  const pieces = texts.map((text, i) =>
    h("button", { type: "button", class: "piece", tabindex: i ? -1 : 0, "aria-label": `${plain(text)}: ${told(i)}` }, plain(text)),
  );
  texts.forEach((text, i) => pieces[i].classList.toggle("begins", text.startsWith(SPACE)));
  const element = h("div", { class: "pieces", role: "group", "aria-label": `${title} pieces` }, pieces);
  const listen = (choose) => {
    pieces.forEach((piece, i) => {
      piece.addEventListener("pointerenter", () => choose(i));
      piece.addEventListener("pointerleave", () => choose(null));
      piece.addEventListener("focus", () => choose(i));
      piece.addEventListener("blur", () => choose(null));
    });
    element.addEventListener("keydown", (event) => step(event, pieces));
  };
  return { element, pieces, listen };
}

/** One stop of the tab key for the whole row; inside it the arrow keys. */
function step(event, pieces) {
  const at = pieces.indexOf(document.activeElement);
  const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: pieces.length - 1 }[event.key];
  if (pieces[next] === undefined) return;
  event.preventDefault();
  pieces[at].tabIndex = -1;
  pieces[next].tabIndex = 0;
  pieces[next].focus();
}

function shade(piece, weight) {
  piece.style.setProperty("--weight", weight.toFixed(3));
}

function anchor(piece, frame, edge) {
  const place = piece.getBoundingClientRect();
  return { x: place.left + place.width / 2 - frame.left, y: place[edge] - frame.top };
}

function strongest(names, weights) {
  const order = weights.map((weight, i) => [weight, names[i]]).sort((a, b) => b[0] - a[0]);
  return order.slice(0, 3).map(([weight, name]) => `${plain(name)} ${Math.round(100 * weight)} %`).join(", ");
}

function table(source, target, weights) {
  const head = h("tr", {}, h("td"), source.map((piece) => h("th", { scope: "col" }, plain(piece))));
  const rows = target.map((piece, t) =>
    h("tr", {}, h("th", { scope: "row" }, plain(piece)), weights[t].map((weight) => cell(weight))),
  );
  const body = h("table", { class: "heat" }, h("caption", {}, "Weights in per cent"), h("thead", {}, head), h("tbody", {}, rows));
  const scroll = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of the weights" }, body);
  return h("details", {}, h("summary", {}, "As a table"), scroll);
}

function cell(weight) {
  const element = h("td", {}, String(Math.round(100 * weight)));
  shade(element, weight);
  return element;
}

const plain = (piece) => piece.replaceAll(SPACE, " ").trim() || "␣";
