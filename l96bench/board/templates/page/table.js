// The table, its filters, the picker of its columns and its pages.
import { $, el, isApart, label, line, svg, watchWidth, whole } from "./elements.js";
import { data, families, floorOf, isReference, rowsOf } from "./data.js";
import { ANEW, cardLink, go, link, state } from "./address.js";
import { cellText, cellTip, columnHelp, columnsOf, exportText, isAscending, showPicker, shownColumns, sortColumn } from "./columns.js";

const PER_PAGE = 100;

function intervalPlot(row, low) {
  const width = 96, x = (value) => 4 + (width - 8) * Math.min(1, Math.max(0, (value - low) / (100 - low)));
  const drawing = svg("svg", { width, height: 14, "aria-hidden": "true" });
  if (row.score < low) drawing.append(label(2, 11, "◂", "start"));
  else drawing.append(line(x(row.low), 7, x(row.high), 7, "whisker"), svg("circle", { cx: x(row.score), cy: 7, r: 3, class: "point" }));
  return drawing;
}
const flagsOf = (row) => row.flags.map(([mark, text]) =>
  el("span", { class: "flag", title: text, role: "img", "aria-label": `flag ${mark}: ${text}` }, mark));

function cell(row, column, low) {
  const text = String(cellText(row, column));
  switch (column.key) {
    case "entry":
      return el("th", { scope: "row" }, cardLink(row));
    case "score":
      return el("td", { class: "score" }, el("b", {}, text), el("span", { class: "interval" }, cellTip(row, column).slice(text.length)), intervalPlot(row, low));
    case "origin":
      return el("td", { class: `text status ${row.origin}` }, text, ...flagsOf(row));
    default: {
      const value = row.cells[column.key];
      const apart = column.look === "difference" && column.key !== "behind_best" && value && isApart(value);
      return el("td", { class: column.look === "text" ? "text" : apart ? "apart" : null, title: cellTip(row, column) }, text);
    }
  }
}
function headCell(table, column) {
  const isSorted = column === sortColumn(table), isUp = isAscending(column);
  const change = { sort: column.key, order: isSorted ? (isUp ? "down" : "up") : "", page: "1" };
  const sort = el("button", { type: "button", "data-sort": column.key, onclick: () => {
    go(change, true);
    $("table").querySelector(`[data-sort="${column.key}"]`).focus();
  } }, column.label);
  const kind = column.key === "entry" ? "text name" : column.look === "text" ? "text" : column.key;
  return el("th", { scope: "col", "aria-sort": isSorted && (state.sort !== "score" || column.key === "score") ? (isUp ? "ascending" : "descending") : null, class: kind },
    el("div", { class: "helped" }, sort, ...columnHelp(column, [table])));
}
let updateWidth = () => {};
export function showTable(table, rows) {
  const columns = shownColumns(table), low = floorOf(rowsOf(table));
  const pages = Math.max(1, Math.ceil(rows.length / PER_PAGE));
  const page = Math.min(pages, Math.max(1, Number.parseInt(state.page, 10) || 1));
  const shown = rows.slice((page - 1) * PER_PAGE, page * PER_PAGE);
  const body = shown.map((row) => el("tr", { class: isReference(row) ? "reference" : row.rank === null ? "unranked" : null },
    ...columns.map((column) => cell(row, column, low))));
  $("table").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...columns.map((column) => headCell(table, column)))), el("tbody", {}, ...body)));
  const all = table.rows.length, range = pages > 1 ? `${(page - 1) * PER_PAGE + 1} to ${(page - 1) * PER_PAGE + shown.length} of ` : "";
  $("count").textContent = rows.length === all ? `${range}${whole(all)} rows` : `${range}${whole(rows.length)} of ${whole(all)} rows`;
  $("pages").hidden = pages === 1;
  for (const [id, to, off] of [["previous", page - 1, page === 1], ["next", page + 1, page === pages]]) {
    $(id).disabled = off;
    $(id).onclick = () => { go({ page: String(to) }); $("table-title").scrollIntoView(); };
  }
  $("about").textContent = `${table.task}. ${table.about}`;
  showPicker(table, (box) => go({ columns: [...box.querySelectorAll("input:checked")].map((input) => input.value).join(",") || "entry" }, true));
  updateWidth();
}
export function showFilters(table) {
  for (const field of ["kind", "inputs", "origin"]) {
    const values = [...new Set(rowsOf(table).map((row) => row[field]))].sort();
    if (state[field] && !values.includes(state[field])) values.unshift(state[field]);
    $(field).replaceChildren(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    $(field).value = state[field];
  }
  if ($("q").value !== state.q) $("q").value = state.q;
}
export function showPlaces(table) {
  const family = table && families.get(table.family);
  const sameRegime = (id) => data.tables.find((each) => each.family === id && each.regime === table?.regime) ?? data.tables.find((each) => each.family === id);
  const current = (is) => ({ "aria-current": is ? "true" : null });
  $("families").replaceChildren(link("Who wins", { ...ANEW, table: "" }, current(!table)), ...data.families.map((each) =>
    link(each.title, { ...ANEW, table: sameRegime(each.id).id }, current(each === family))));
  $("regimes").replaceChildren(...data.tables.filter((each) => each.family === family?.id).map((each) =>
    link(each.regime, { ...ANEW, table: each.id }, current(each === table))));
  for (const nav of [$("families"), $("regimes")]) {
    const chosen = nav.querySelector("[aria-current]");
    if (chosen) nav.scrollLeft = chosen.offsetLeft - nav.offsetLeft - (nav.clientWidth - chosen.offsetWidth) / 2;
  }
  if (!table) return;
  $("question").textContent = family.question;
  $("table-title").textContent = `${family.title}, ${table.regime}`;
}
function download(table) {
  const address = URL.createObjectURL(new Blob([exportText(table)], { type: "text/csv" }));
  el("a", { href: address, download: `${table.id.replaceAll("/", "-")}.csv` }).click();
  URL.revokeObjectURL(address);
}
export function startTable(current) {
  updateWidth = watchWidth($("table"), $("wide-note"));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => go({ q: "", kind: "", inputs: "", origin: "", page: "1" }));
  $("q").addEventListener("input", () => go({ q: $("q").value, page: "1" }, true));
  for (const field of ["kind", "inputs", "origin"]) $(field).addEventListener("change", () => go({ [field]: $(field).value, page: "1" }));
  $("default-columns").addEventListener("click", () => go({ columns: "" }, true));
  $("all-columns").addEventListener("click", () => go({ columns: columnsOf(current()).map((column) => column.key).join(",") }, true));
  $("export").addEventListener("click", () => download(current()));
}
