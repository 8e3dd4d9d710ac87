// Scores across the regimes of a family, and pictures of one state and what follows.
import { $, NONE, el, format, withEnds } from "./elements.js";
import { data, floorOf, hasFailed, isReference, rowsOf } from "./data.js";
import { cardLink } from "./address.js";

const N_ROWS = 60, STRONGEST = 72;

function heatCell(row, table, name, low) {
  if (!row) {
    const isComing = table.missing.includes(name);
    return el("td", { class: "never", title: isComing ? "still to come" : "never run" }, isComing ? "to come" : NONE);
  }
  const text = format(row.score, 1), failed = hasFailed(row) && row.score <= 0;
  const made = el("td", { class: failed ? "failed" : null, title: `${withEnds([row.score, row.low, row.high], 1)}${hasFailed(row) ? `; failures: ${row.failures}` : ""}` }, failed ? `${text} ✕` : text);
  // The strongest colour still lets the text stand out, in light and dark.
  made.style.setProperty("--v", Math.round(STRONGEST * Math.min(1, Math.max(0, (row.score - low) / (100 - low)))));
  return made;
}
function colourBar(low) {
  const steps = Array.from({ length: 11 }, (_, i) => {
    const made = el("span", {});
    made.style.setProperty("--v", Math.round((STRONGEST * i) / 10));
    return made;
  });
  return el("div", { class: "bar" }, el("span", {}, low > 0 ? `≤ ${low}` : String(low)), el("div", { class: "ramp", role: "img", "aria-label": `Colours from ${low} to 100` }, ...steps), el("span", {}, "100"),
    el("span", { class: "key failed" }, "✕"), el("span", {}, "failed: no points"), el("span", { class: "key never" }, NONE), el("span", {}, "never run"));
}
export function showHeat(table, rows) {
  const across = data.tables.filter((each) => each.family === table.family);
  $("heat-section").hidden = across.length < 2;
  if (across.length < 2) return;
  const found = across.map((each) => new Map(rowsOf(each).map((row) => [row.number, row])));
  const low = floorOf(across.flatMap(rowsOf).filter((row) => row.rank !== null));
  const body = rows.slice(0, N_ROWS).map((row) => el("tr", { class: isReference(row) ? "reference" : null },
    el("th", { scope: "row" }, cardLink(row)),
    ...found.map((each, i) => heatCell(each.get(row.number), across[i], row.entry.name, low))));
  const head = el("tr", {}, el("th", { scope: "col", class: "text name" }, "entry"), ...across.map((each) => el("th", { scope: "col" }, each.regime)));
  $("heat").replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
  $("heat-bar").replaceChildren(colourBar(low));
  $("heat-note").textContent = `Scores of the rows of the table above${rows.length > N_ROWS ? `, the first ${N_ROWS}` : ""}.`;
}
export const pictures = (shown) => shown.map(([text, , source]) =>
  el("figure", {}, el("img", { src: source, alt: `Hovmöller picture: ${text}`, loading: "lazy" }), el("figcaption", {}, text)));
export function showWeather(table) {
  $("weather-section").hidden = table.pictures.length === 0;
  $("weather").replaceChildren(...pictures(table.pictures));
}
