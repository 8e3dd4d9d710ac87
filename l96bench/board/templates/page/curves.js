// Forecast skill by lead: as CRPS above that of perfect physics, where the table has it.
import { $, el, format, label, line, svg, title } from "./elements.js";
import { isReference, rowsOf } from "./data.js";
import { cardLink, state } from "./address.js";
import { MARGIN, frame, xAxis, yAxis } from "./axes.js";

const MEASURES = {
  crps_above: "CRPS above perfect physics", crps: "CRPS", rmse: "RMSE", anomaly_correlation: "anomaly correlation",
};
const N_LINES = 6;

function draw(box, curves, measure, lines) {
  const { lead } = curves, series = lines.map((each) => curves[measure][each.row.place]);
  const chart = frame(box, 330, `${MEASURES[measure]} by lead: ${lines.map((each) => each.row.entry.name).join(", ")}`);
  const values = series.flat(), last = lead[lead.length - 1];
  const y = yAxis(chart, Math.min(0, ...values), Math.max(...values, 1e-6), MEASURES[measure]);
  const x = (value) => MARGIN.left + (value / last) * (chart.right - MARGIN.left);
  for (let at = 0; at <= last + 1e-9; at += last > 4 ? 1 : 0.5) chart.drawing.append(label(x(at), chart.bottom + 17, format(at, 1)));
  xAxis(chart, "lead, model time units");
  if (measure === "crps_above") chart.drawing.append(line(MARGIN.left, y(0), chart.right, y(0), "axis"));
  lines.forEach((each, i) => {
    const d = series[i].map((value, k) => `${k ? "L" : "M"}${x(lead[k]).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    chart.drawing.append(svg("path", { class: `curve ${each.style}`, d }, title(each.row.entry.name)));
  });
  box.append(el("ul", { class: "legend" }, ...lines.map((each) => el("li", {},
    svg("svg", { width: 30, height: 8, "aria-hidden": "true" }, svg("path", { class: `curve ${each.style}`, d: "M0 4H30" })), cardLink(each.row)))));
}
export function showCurves(table, rows) {
  const measures = Object.keys(MEASURES).filter((each) => table.curves?.[each]);
  $("curves-section").hidden = measures.length === 0;
  if (measures.length === 0) return;
  const measure = measures.includes(state.measure) ? state.measure : measures[0];
  $("measure").replaceChildren(...measures.map((each) => new Option(MEASURES[each], each, false, each === measure)));
  const has = (row) => table.curves[measure][row.place];
  const behind = measure === "crps_above" ? [] : rowsOf(table).filter((row) => isReference(row) && has(row));
  draw($("curves"), table.curves, measure, [
    ...behind.map((row) => ({ row, style: "back" })),
    ...rows.filter((row) => !isReference(row) && has(row)).slice(0, N_LINES).map((row, i) => ({ row, style: `k${i}` })),
  ]);
  $("curves-note").textContent = `The first ${N_LINES} rows of the table as it is filtered and sorted.` +
    (measure === "crps_above" ? " Perfect physics is at 0." : " Thin and grey: its references.");
}
