// The card of an entry: what it is, where it stands, and links to its script, files, reports and citation.
import { $, NONE, el, format, isKnown, label, line, svg, title, withEnds } from "./elements.js";
import { SEASON, bySlug, data, entries, isReference, rowsOf } from "./data.js";
import { address, go, state } from "./address.js";
import { axisName, cellText, cellTip, columnHelp } from "./columns.js";
import { pictures } from "./heat.js";

const OFFLINE = "subgrid-forcing", ONLINE = "online-rollout";
const HEAD = ["rank", "entry", "score"];
const scoreText = (row) => withEnds([row.score, row.low, row.high], 1);
const seasonColumn = data.columns.find((column) => column.key === SEASON);

function rowsOfEntry(number) {
  return data.tables.flatMap((table) => rowsOf(table).filter((row) => row.number === number).map((row) => ({ table, row })));
}
function plainTable(name, head, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", class: i ? null : "name text" }, text)))),
    el("tbody", {}, ...rows.map(([text, ...cells]) => el("tr", {}, el("th", { scope: "row" }, text), ...cells.map((each) => el("td", {}, each)))))));
}
const rankText = (row) => (isReference(row) ? "reference" : row.rank === null ? "no rank" : `rank ${row.rank}`);
// A line a task: score, rank, and the season where one compares with it.
function standing(own) {
  const hasSeason = own.some(({ row }) => isKnown(row.cells[SEASON]));
  const head = ["task", "score", "rank", "behind the best", ...(hasSeason ? [seasonColumn.label] : []), "µs per call"];
  const text = (row, key) => cellText(row, data.columns.find((column) => column.key === key));
  return plainTable("Scores of all tasks", head, own.map(({ table, row }) => [
    `${data.families.find((family) => family.id === table.family).title}, ${table.regime}`, scoreText(row), rankText(row), text(row, "behind_best"),
    ...(hasSeason ? [text(row, SEASON)] : []), text(row, "microseconds_per_call")]));
}
function offlineOnline(own) {
  const pick = (family, regime) => own.find((each) => each.table.family === family && each.table.regime === regime)?.row;
  const regimes = [...new Set(own.map((each) => each.table.regime))].filter((regime) => pick(OFFLINE, regime) && pick(ONLINE, regime));
  if (!regimes.length) return null;
  const width = Math.min(640, Math.max(280, innerWidth - 80)), left = 124, high = 26 * regimes.length + 30;
  const low = Math.min(50, Math.floor(Math.max(0, Math.min(...regimes.flatMap((regime) => [pick(OFFLINE, regime).score, pick(ONLINE, regime).score]))) / 10) * 10);
  const x = (value) => left + (width - left - 14) * Math.max(0, (value - low) / (100 - low));
  const drawing = svg("svg", { width, height: high, role: "img", "aria-label": "Offline against online score by regime" });
  for (let at = low; at <= 100; at += (100 - low) / 5) drawing.append(line(x(at), 4, x(at), high - 24, "grid"), label(x(at), high - 8, format(at, 0)));
  regimes.forEach((regime, i) => {
    const y = 17 + 26 * i, a = pick(OFFLINE, regime), b = pick(ONLINE, regime);
    drawing.append(label(0, y + 4, regime, "start"), line(x(a.score), y, x(b.score), y, "axis"),
      svg("circle", { class: "dot", cx: x(a.score), cy: y, r: 5 }, title(`offline ${scoreText(a)}`)),
      svg("circle", { class: "point", cx: x(b.score), cy: y, r: 5 }, title(`online ${scoreText(b)}`)));
  });
  return el("div", {}, el("h3", {}, "Offline against online"), drawing, el("p", { class: "note" }, "Open: offline, subgrid forcing. Filled: online, coupled to the resolved model."));
}
function details(family, own) {
  const rows = own.map((each) => each.row);
  const lines = [...data.columns, ...family.columns].filter((column) => !HEAD.includes(column.key) && rows.some((row) => isKnown(row.cells[column.key])))
    .map((column) => [axisName(column), ...rows.map((row) => String(cellTip(row, column) ?? cellText(row, column)))]);
  return el("details", {}, el("summary", {}, `${family.title}: all numbers`), plainTable(`${family.title}: metrics by regime`, ["", ...own.map((each) => each.table.regime)], [
    ...lines, ["score of each seed", ...rows.map((row) => row.seeds.map((value) => format(value, 1)).join(", ") || NONE)],
    ["failures", ...rows.map((row) => row.failures)], ["predictions", ...rows.map((row) => row.digest)]]));
}
const bibText = (text) => text.replace(/[\\{}]/g, "").replace(/([&%$#_])/g, "\\$1");
function bibtex(entry) {
  const source = entry.source ? `. Source of the method: ${bibText(entry.source)}` : "";
  const fields = {
    title: `{${bibText(entry.name)}}, an entry of the l96bench leaderboard`,
    author: entry.authors ? bibText(entry.authors).replaceAll("; ", " and ") : "{The l96bench developers}",
    note: `l96bench ${data.version}${source}`,
  };
  return `@misc{l96bench-${entry.slug},\n${Object.entries(fields).map(([key, text]) => `  ${key} = {${text}},\n`).join("")}}`;
}
function links(entry) {
  const out = (text, href) => el("li", {}, el("a", { href }, text));
  const { links: to } = data;
  return el("ul", { class: "links" },
    entry.script ? out("script", `${to.baselines}${entry.script}.py`) : null,
    ...entry.files.map((file) => out(`file ${file}`, `${to.submissions}${entry.slug}/${file}`)),
    ...entry.reports.map(([place, folder]) => out(`report on ${place}`, `${to.reports}${folder}/index.html`)),
    out("all numbers as text", `${to.cards}${entry.slug}.md`),
    el("li", {}, el("a", { href: address({ card: entry.slug }), class: "permalink" }, "permalink")));
}
function fillCard(number) {
  const entry = entries[number], own = rowsOfEntry(number), rows = own.map((each) => each.row);
  const distinct = (key) => [...new Set(rows.map((row) => row[key]))].join("; ");
  const facts = [["Kind", distinct("kind")], ["Inputs", distinct("inputs")], ["Trained on", entry.trained], ["Source", entry.source],
    ["Status", distinct("origin")], ["Authors", entry.authors], ["Flags", [...new Set(rows.flatMap((row) => row.flags.map(([, text]) => text)))].join("; ")]]
    .filter(([, text]) => text).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]);
  const seasons = own.filter(({ row }) => isKnown(row.cells[SEASON]));
  if (seasons.length) {
    facts.push(el("dt", { class: "helped" }, seasonColumn.label, ...columnHelp(seasonColumn, seasons.map((each) => each.table))),
      el("dd", {}, seasons.map(({ table, row }) => `${data.families.find((family) => family.id === table.family).title}, ${table.regime}: ${cellText(row, seasonColumn)}`).join("; ")));
  }
  const shown = own.flatMap(({ table }) => table.pictures.filter(([, slug]) => slug === entry.slug).flatMap(([text, , source]) =>
    [[`truth, ${table.regime}`, "", table.pictures[0][2]], [`${text}, ${table.regime}`, "", source]]));
  const part = (head, ...inside) => [el("h3", {}, head), ...inside];
  $("card").replaceChildren(el("div", {},
    el("div", { class: "heading" }, el("h2", { id: "card-title" }, entry.name), el("button", { type: "button", onclick: () => $("card").close() }, "Close")),
    entry.description ? el("p", {}, entry.description) : null, links(entry), el("dl", {}, ...facts),
    ...part("Where it stands", standing(own)), offlineOnline(own),
    ...data.families.map((family) => [family, own.filter((each) => each.table.family === family.id)]).filter(([, found]) => found.length).map(([family, found]) => details(family, found)),
    ...(shown.length ? part("One state, and what follows", el("div", { class: "pictures" }, ...pictures(shown))) : []),
    ...(entry.commands.length ? part("How to reproduce it", el("pre", { tabindex: "0" }, entry.commands.join("\n"))) : []),
    ...part("How to cite it", el("pre", { tabindex: "0", class: "bibtex" }, bibtex(entry)))));
}
let shownCard = "";
export function showCard() {
  const number = bySlug.get(state.card);
  if (number === undefined) {
    shownCard = "";
    if ($("card").open) $("card").close();
    return null;
  }
  if (shownCard !== state.card) fillCard(number);
  shownCard = state.card;
  if (!$("card").open) { $("card").showModal(); $("card").scrollTop = 0; }
  return entries[number].name;
}
export function startCard() {
  $("card").addEventListener("close", () => { if (state.card) go({ card: "" }); });
  $("card").addEventListener("click", (event) => { if (event.target === $("card")) $("card").close(); });
}
