// Making elements, and writing numbers. Text from results is only ever set as text, never as HTML.
export const $ = (id) => document.getElementById(id);
export const NONE = "–";

function node(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}
export const el = (tag, attributes = {}, ...children) => node(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
  node(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
export const line = (x1, y1, x2, y2, className) => svg("line", { x1, y1, x2, y2, class: className });
export const label = (x, y, text, anchor = "middle", className = null) =>
  svg("text", { x, y, "text-anchor": anchor, class: className }, text);
export const title = (text) => svg("title", {}, text);

export const first = (value) => (Array.isArray(value) ? value[0] : value);
export const isKnown = (value) => value !== null && value !== undefined;
export function format(value, digits) {
  if (!isKnown(value)) return NONE;
  return Math.abs(value) < 1e6 ? (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits) : value.toExponential(1);
}
export const whole = (value) => (isKnown(value) ? value.toLocaleString("en-US") : NONE);
export const withEnds = (value, digits) => (Array.isArray(value)
  ? `${format(value[0], digits)} [${format(value[1], digits)}, ${format(value[2], digits)}]`
  : format(value, digits));
const signed = (value, digits) => {
  const text = format(value, digits);
  return text.startsWith("-") ? text : `+${text}`;
};
export const isApart = ([, low, high]) => low > 0 || high < 0;
export function difference(value, digits) {
  if (!isKnown(value)) return NONE;
  const [at, low, high] = value.map((each) => signed(each, digits));
  return `${at} [${low}, ${high}]${isApart(value) ? " ≠ 0" : ""}`;
}

// What a name means, behind a button: a popover opens by mouse, key and touch, and closes by Escape.
export function help(name, paragraphs) {
  const text = el("div", { class: "help", popover: "auto" }, ...paragraphs.map((each) => el("p", {}, each)));
  const button = el("button", { type: "button", class: "about", "aria-label": `What is ${name}?` }, "?");
  button.popoverTargetElement = text;
  text.addEventListener("beforetoggle", () => {
    const at = button.getBoundingClientRect(), left = Math.max(8, Math.min(at.left, innerWidth - 344));
    text.style.inset = at.bottom < innerHeight / 2 ? `${at.bottom + 6}px auto auto ${left}px` : `auto auto ${innerHeight - at.top + 6}px ${left}px`;
  });
  return [button, text];
}

// A region that scrolls sideways says so while it is wider than its place; else its head sticks to the window.
export function watchWidth(region, note) {
  const update = () => {
    const isWide = region.scrollWidth > region.clientWidth + 1;
    region.classList.toggle("wide", isWide);
    note.hidden = !isWide;
  };
  new ResizeObserver(update).observe(region);
  return update;
}
