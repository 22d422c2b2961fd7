// Making elements. Text only ever becomes text nodes, so nothing that a model answers can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes by name, listeners as onclick: f; children are elements, strings, lists of them, or null. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for a picture's elements. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** An element whose width (left edge, …) is a share of its parent's, from 0 to 1. */
export function share(element, property, value) {
  element.style[property] = `${(100 * value).toFixed(3)}%`;
  return element;
}

let made = 0;

/** An id that no other element has, for labels and descriptions. */
export function freshId(stem) {
  made += 1;
  return `${stem}-${made}`;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}
