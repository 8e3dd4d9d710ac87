// The results, as Python wrote them: ranks, ties, intervals and definitions are read here, never computed.
import { first } from "./elements.js";

export const data = JSON.parse(document.getElementById("data").textContent);
export const entries = data.entries.map((values) => Object.fromEntries(data.entry_fields.map((field, i) => [field, values[i]])));
export const families = new Map(data.families.map((family) => [family.id, family]));
export const tables = new Map(data.tables.map((table) => [table.id, table]));
export const bySlug = new Map(entries.map((entry, place) => [entry.slug, place]));
export const SEASON = "season_difference";

export function rowsOf(table) {
  table.objects ??= table.rows.map((values, place) => {
    const row = { place };
    data.fields.forEach((field, i) => { row[field] = values[i]; });
    row.entry = entries[row.number];
    row.cells = {};
    data.columns.forEach((column, i) => { row.cells[column.key] = column.look === "text" ? data.texts[row.shared[i]] : row.shared[i]; });
    families.get(table.family).columns.forEach((column, i) => { row.cells[column.key] = row.metrics[i]; });
    row.cells.entry = row.entry.name;
    [row.score, row.low, row.high] = row.cells.score;
    row.failures = data.texts[row.failures];
    for (const key of ["rank", "origin", "kind", "inputs"]) row[key] = row.cells[key];
    row.words = `${row.entry.name} ${row.kind} ${row.inputs} ${row.entry.description} ${row.entry.authors}`.toLowerCase();
    return row;
  });
  return table.objects;
}
export const isReference = (row) => row.origin === "reference";
export const hasFailed = (row) => row.cells.not_finite + row.cells.diverged > 0;
export const costs = data.columns.filter((column) => column.cost);
export const costOf = (row, column) => first(row.cells[column.key]);

// Where a scale of scores begins: a few hopeless rows must not squeeze all others.
export function floorOf(rows) {
  const scores = rows.map((row) => row.low).sort((a, b) => a - b);
  return scores.length ? Math.max(0, Math.min(90, 10 * Math.floor(scores[Math.floor(0.15 * scores.length)] / 10))) : 0;
}
