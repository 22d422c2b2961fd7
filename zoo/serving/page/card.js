// A model's card: the little of Markdown that cards are written in, made into elements.

import { h } from "./dom.js";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|!\[[^\]]*\]\([^)]*\)|\[([^\]]+)\]\((https?:\/\/[^)\s]+)\)|(https?:\/\/[^\s)|]+[^\s)|.,;])/g;

/** The card as elements, without its title, which stands above already; its headings begin below the page's own. */
export function cardView(markdown) {
  const lines = markdown.replaceAll("\r", "").split("\n");
  if (lines[0].startsWith("# ")) lines.shift();
  const parts = [];
  while (lines.length) {
    const next = block(lines);
    if (next) parts.push(next);
  }
  return h("div", { class: "card" }, parts);
}

/** Takes one block off the front of the lines. */
function block(lines) {
  const line = lines.shift();
  if (!line.trim()) return null;
  const heading = /^(#{1,6}) +(.*)/.exec(line);
  if (heading) return h(`h${Math.min(6, heading[1].length + 1)}`, {}, inline(heading[2]));
  if (line.startsWith("```")) {
    const code = whileTrue(lines, (each) => !each.startsWith("```"));
    lines.shift();
    return h("pre", { tabindex: 0, role: "region", "aria-label": "Lines of the card" }, h("code", {}, code.join("\n")));
  }
  if (line.startsWith("|")) return table([line, ...whileTrue(lines, (each) => each.startsWith("|"))]);
  if (/^[-*] /.test(line)) {
    const items = [line, ...whileTrue(lines, (each) => /^[-*] /.test(each))];
    return h("ul", {}, items.map((item) => h("li", {}, inline(item.slice(2)))));
  }
  const text = [line, ...whileTrue(lines, (each) => each.trim() && !/^(#|```|\||[-*] )/.test(each))].join(" ");
  const made = inline(text);
  return made.length ? h("p", {}, made) : null;
}

function whileTrue(lines, holds) {
  const end = lines.findIndex((line) => !holds(line));
  return lines.splice(0, end < 0 ? lines.length : end);
}

function table(lines) {
  const cells = (line) => line.replace(/^\||\|\s*$/g, "").split(/(?<!\\)\|/).map((cell) => cell.replaceAll("\\|", "|").trim());
  const [head, , ...body] = lines.map(cells);
  const named = head?.some(Boolean);
  const rows = body.map((row) => h("tr", {}, row.map((cell, i) => (i || named ? h("td", {}, inline(cell)) : h("th", { scope: "row" }, inline(cell))))));
  const top = named ? h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col" }, inline(cell))))) : null;
  const label = named ? head.filter(Boolean).join(", ") : "Facts";
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, h("table", {}, top, h("tbody", {}, rows)));
}

/** Code, bold and links; pictures are left out, since they lie beside the card, on the server's disk. */
function inline(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(at, found.index));
    const [, code, bold, name, address, bare] = found;
    if (code) parts.push(h("code", {}, code));
    if (bold) parts.push(h("strong", {}, bold));
    if (address ?? bare) parts.push(h("a", { href: address ?? bare, rel: "noreferrer" }, name ?? bare));
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)].filter((part) => part !== "");
}
