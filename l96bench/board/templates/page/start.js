// Everything together: what the address asks for is shown, and what a reader does goes into the address.
import { $ } from "./elements.js";
import { data, families, tables } from "./data.js";
import { address, go, onView, openLink, readAddress, showView, state } from "./address.js";
import { selected } from "./columns.js";
import { showFilters, showPlaces, showTable, startTable } from "./table.js";
import { showCost } from "./cost.js";
import { showCurves } from "./curves.js";
import { showHeat, showWeather } from "./heat.js";
import { showCard, startCard } from "./card.js";

const NAME = "l96bench leaderboard";
const table = () => tables.get(state.table);
let drawn = null;

function showCharts() {
  if (!table()) return;
  const rows = selected(table());
  showCost(rows);
  showCurves(table(), rows);
  showHeat(table(), rows);
  showWeather(table());
}
function showTheme() {
  const theme = ["light", "dark"].includes(state.theme) ? state.theme : "";
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  $("theme").textContent = isDark ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", isDark ? "Switch to light colours" : "Switch to dark colours");
  $("theme").onclick = () => go({ theme: isDark ? "light" : "dark" }, true);
}
function show() {
  readAddress();
  showTheme();
  const own = table(), view = address({ card: "", theme: "" });
  $("overview").hidden = Boolean(own);
  $("board").hidden = !own;
  if (view !== drawn) {
    drawn = view;
    showPlaces(own);
    if (own) {
      showFilters(own);
      showTable(own, selected(own));
      // The plots are further down: the table is painted first.
      requestAnimationFrame(() => setTimeout(() => drawn === view && showCharts(), 0));
    }
  }
  const card = showCard();
  document.title = `${card ?? (own ? `${families.get(own.family).title}, ${own.regime}` : "Who wins")} – ${NAME}`;
}
// Links of the first screen keep what is not of one table: colours, columns, plots.
$("overview").addEventListener("click", (event) => {
  const anchor = event.target.closest("a[href^='#']");
  if (anchor) openLink(event, Object.fromEntries(new URLSearchParams(anchor.getAttribute("href").slice(1))));
});
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  const target = table() ? $("table") : $("main");
  target.focus();
  target.scrollIntoView();
});
for (const field of ["cost", "measure"]) $(field).addEventListener("change", () => go({ [field]: $(field).value }, true));
addEventListener("popstate", show);
addEventListener("hashchange", show);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; showCharts(); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
onView(show);
startTable(table);
startCard();
$("theme").hidden = false;
$("families").hidden = data.tables.length === 0;
showView();
