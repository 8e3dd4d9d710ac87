// The columns of a table, from the definitions that Python wrote: their cells, tooltips, order and export.
import { NONE, difference, el, first, format, help, isKnown, whole, withEnds } from "./elements.js";
import { SEASON, data, families, rowsOf } from "./data.js";
import { state } from "./address.js";

const ALWAYS = ["rank", "entry", "score"];

// All columns in which the table has something: those of the first view, then the family's, then the others.
export function columnsOf(table) {
  const own = [...data.columns.filter((column) => column.shown), ...families.get(table.family).columns, ...data.columns.filter((column) => !column.shown)];
  table.columns ??= own.filter((column) => ALWAYS.includes(column.key) || rowsOf(table).some((row) => isKnown(first(row.cells[column.key]))));
  return table.columns;
}
export function shownColumns(table) {
  const wanted = state.columns ? state.columns.split(",") : null;
  return columnsOf(table).filter((column) => column.key === "entry" || (wanted ? wanted.includes(column.key) : column.shown));
}
export function cellText(row, column) {
  const value = row.cells[column.key];
  if (!isKnown(value)) return column.key === "behind_best" && row.rank === 1 ? "best" : NONE;
  if (column.look === "difference") return column.key === "behind_best" ? withEnds(value, column.digits) : difference(value, column.digits);
  if (column.look === "count") return whole(value);
  return column.look === "number" ? format(first(value), column.digits) : value;
}
// The value with its interval, where the cell leaves that out.
export function cellTip(row, column) {
  const value = row.cells[column.key];
  return column.look === "number" && Array.isArray(value) ? withEnds(value, column.digits) : null;
}
const unitText = (column) => (column.unit === "1" || column.unit === "text" ? "" : `, ${column.unit}`);
export const axisName = (column) => (column.label.includes(column.unit) ? column.label : column.label + unitText(column));
export function columnHelp(column, found) {
  const seasons = column.key === SEASON ? found.filter((each) => each.season) : [];
  const more = seasons.map(({ task, season: [name, counts] }) => `${task}, season ${name}. ${counts}`);
  const own = column.key === SEASON ? document.getElementById("season-text").textContent : column.meaning;
  return own ? help(column.label, [own, ...more]) : [];
}
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const sortValue = (row, column) => {
  const value = first(row.cells[column.key]);
  return typeof value === "string" ? value.toLowerCase() : value;
};
export const sortColumn = (table) => columnsOf(table).find((column) => column.key === state.sort) ?? columnsOf(table).find((column) => column.key === "score");
export const isAscending = (column) => (state.order ? state.order === "up" : column.better === "lower");

// The rows that the filters let through, in the chosen order; rows without a value stand last.
export function selected(table) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = rowsOf(table).filter((row) =>
    ["kind", "inputs", "origin"].every((key) => !state[key] || row[key] === state[key]) && words.every((word) => row.words.includes(word)));
  const column = sortColumn(table), sign = isAscending(column) ? 1 : -1;
  return rows.sort((a, b) => {
    const x = sortValue(a, column), y = sortValue(b, column);
    if (!isKnown(x) || !isKnown(y)) return isKnown(y) - isKnown(x) || a.place - b.place;
    return sign * compare(x, y) || a.place - b.place;
  });
}
// The shown columns of the selected rows as CSV, under the names that results.csv has.
export function exportText(table) {
  const quoted = (value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const columns = shownColumns(table), rows = selected(table);
  const ends = columns.filter((column) => rows.some((row) => Array.isArray(row.cells[column.key])));
  const stem = (column) => column.key.replace(/_(best|difference)$/, "");
  const names = columns.flatMap((column) => (ends.includes(column) ? [column.key, `${stem(column)}_low`, `${stem(column)}_high`] : [column.key]));
  const cells = (row, column) => {
    const value = row.cells[column.key], all = Array.isArray(value) ? value : [value, null, null];
    return (ends.includes(column) ? all : [first(value)]).map((each) => (isKnown(each) ? String(each) : ""));
  };
  return [names, ...rows.map((row) => columns.flatMap((column) => cells(row, column)))].map((each) => each.map(quoted).join(",") + "\r\n").join("");
}
export function showPicker(table, change) {
  const shown = new Set(shownColumns(table).map((column) => column.key));
  const box = document.getElementById("columns");
  if (box.dataset.table !== table.id) {
    box.dataset.table = table.id;
    box.replaceChildren(...columnsOf(table).filter((column) => column.key !== "entry").map((column) =>
      el("label", {}, el("input", { type: "checkbox", value: column.key, onchange: () => change(box) }), axisName(column))));
  }
  for (const input of box.querySelectorAll("input")) input.checked = shown.has(input.value);
}
