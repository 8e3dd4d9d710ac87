// The plot of score against cost. Its front is that of all ranked rows with a cost; a best row without one is named in it.
import { $, format, label, line, svg, title, whole, withEnds } from "./elements.js";
import { costOf, costs, floorOf } from "./data.js";
import { address, openLink, state } from "./address.js";
import { axisName } from "./columns.js";
import { MARGIN, frame, placeName, xAxis, yAxis } from "./axes.js";

const LEFT_OF_SCALE = 34;

function ticks(chart, x, from, to, zero) {
  const steps = to - from < 3 ? [1, 2, 5] : [1];
  for (let power = Math.floor(from); power <= to; power += 1) {
    for (const at of steps.map((step) => step * 10 ** power).filter((value) => value >= 10 ** from && value <= 10 ** to)) {
      chart.drawing.append(line(x(at), MARGIN.top, x(at), chart.bottom, "grid"), label(x(at), chart.bottom + 17, power < 0 ? at.toFixed(-power) : whole(at)));
    }
  }
  if (zero) chart.drawing.append(line(x(0), MARGIN.top, x(0), chart.bottom, "grid"), label(x(0), chart.bottom + 17, "0"));
}
function scaleOf(chart, priced, column) {
  const positive = priced.map((row) => costOf(row, column)).filter((cost) => cost > 0).map(Math.log10);
  const zero = positive.length < priced.length, start = MARGIN.left + 10 + (zero ? LEFT_OF_SCALE : 0);
  const from = Math.min(...positive, ...(positive.length ? [] : [0])) - 0.1, to = Math.max(...positive, ...(positive.length ? [] : [0])) + 0.1;
  const x = (cost) => (cost > 0 ? start + ((Math.log10(cost) - from) / (to - from)) * (chart.right - start - 10) : MARGIN.left + 10);
  return { x, from, to, zero };
}
// The rows than which none is cheaper and at least as good.
export function frontOf(rows, column) {
  let best = -Infinity;
  return [...rows].sort((a, b) => costOf(a, column) - costOf(b, column) || b.score - a.score).filter((row) => row.score > best && (best = row.score, true));
}
function drawFront(chart, front, column, x, y) {
  const path = front.map((row, i) => (i ? `H${x(costOf(row, column))}V${y(row.score)}` : `M${x(costOf(row, column))} ${y(row.score)}`)).join("");
  chart.drawing.append(svg("path", { class: "front", d: `${path}H${chart.right}` }));
}
function drawRow(chart, row, isBest, column, x, y) {
  const change = { card: row.entry.slug };
  const text = `${row.entry.name}: score ${withEnds([row.score, row.low, row.high], 1)}, ${axisName(column)} ${format(costOf(row, column), column.digits)}`;
  chart.drawing.append(svg("a", { href: address(change), class: isBest ? "best" : null, tabindex: isBest ? null : "-1", "aria-label": text, onclick: (event) => openLink(event, change) },
    title(text), svg("circle", { class: "dot", cx: x(costOf(row, column)), cy: y(row.score), r: isBest ? 5 : 4 })));
}
// A line at the score of each best row whose cost is not known, so that the front does not pass for the whole of it.
function drawFree(chart, free, front, y, boxes) {
  const reach = Math.max(-Infinity, ...front.map((row) => row.score));
  for (const row of free.filter((each) => each.score > reach).slice(0, 3)) {
    chart.drawing.append(line(MARGIN.left, y(row.score), chart.right, y(row.score), "free"));
    placeName(chart, boxes, `${row.entry.name}: cost not known`, MARGIN.left + 2, y(row.score));
  }
}
export function showCost(rows) {
  const ranked = rows.filter((row) => row.rank !== null);
  const has = (column) => (row) => costOf(row, column) !== null && costOf(row, column) !== undefined;
  const offered = costs.filter((column) => ranked.some((row) => costOf(row, column) > 0));
  $("cost-section").hidden = offered.length === 0;
  if (offered.length === 0) return;
  const column = offered.find((each) => each.key === state.cost) ?? offered[0];
  $("cost").replaceChildren(...offered.map((each) => new Option(axisName(each), each.key, false, each === column)));
  const priced = ranked.filter(has(column)), free = ranked.filter((row) => !has(column)(row)), low = floorOf(priced);
  const points = priced.filter((row) => row.score >= low), front = frontOf(points, column);
  const chart = frame($("cost-plot"), 380, `Score against ${axisName(column)}; ${front.length} entries are best at their cost.`);
  const scale = scaleOf(chart, priced, column);
  const y = yAxis(chart, low, Math.max(100, ...ranked.map((row) => row.score)), "score");
  ticks(chart, scale.x, scale.from, scale.to, scale.zero);
  xAxis(chart, `${axisName(column)} (log scale)`);
  if (front.length) drawFront(chart, front, column, scale.x, y);
  const boxes = [];
  for (const row of points.filter((each) => !front.includes(each))) drawRow(chart, row, false, column, scale.x, y);
  for (const row of front) drawRow(chart, row, true, column, scale.x, y);
  drawFree(chart, free, front, y, boxes);
  for (const row of [...front].reverse()) placeName(chart, boxes, row.entry.name, scale.x(costOf(row, column)), y(row.score));
  const hidden = priced.length - points.length;
  $("cost-note").textContent = `Filled, on the front: no cheaper entry has a better score.${hidden ? ` Below the scale: ${hidden}.` : ""}${free.length ? ` Cost not known: ${free.length}.` : ""}`;
}
