// The address holds the whole view: the task, filters, order, columns, plots, colours and the open card.
import { el } from "./elements.js";
import { data, tables } from "./data.js";

const FIRST = "online-rollout/wilks-f20";
export const DEFAULTS = {
  table: "", q: "", kind: "", inputs: "", origin: "", sort: "score", order: "", page: "1", columns: "", cost: "", measure: "",
  theme: "", card: "",
};
// What begins anew in another table.
export const ANEW = { page: "1", card: "", sort: "score", order: "" };
const OVERALL = ["theme", "card"];
export let state = { ...DEFAULTS };
const listeners = [];
export const onView = (listener) => listeners.push(listener);
export const showView = () => listeners.forEach((listener) => listener());

export function readAddress() {
  const found = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  state = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) if (Object.hasOwn(found, key)) state[key] = found[key];
  if (!tables.has(state.table)) {
    const isOfTable = Object.keys(DEFAULTS).some((key) => !OVERALL.includes(key) && key !== "table" && state[key] !== DEFAULTS[key]);
    const named = data.tables.find((table) => table.task === state.table)?.id;
    state.table = named ?? (isOfTable ? (tables.has(FIRST) ? FIRST : data.tables[0]?.id ?? "") : "");
  }
}
export function address(change) {
  const wanted = Object.entries({ ...state, ...change }).filter(([key, value]) => value !== DEFAULTS[key]);
  return "#" + new URLSearchParams(wanted).toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
}
export function go(change, quietly = false) {
  const target = address(change);
  if (quietly) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  showView();
}
export function openLink(event, change) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(change);
}
export const link = (text, change, attributes = {}) =>
  el("a", { href: address(change), onclick: (event) => openLink(event, change), ...attributes }, text);
export const cardLink = (row) => link(row.entry.name, { card: row.entry.slug });
