// The frame and the axes of a plot.
import { format, label, line, svg } from "./elements.js";

export const MARGIN = { left: 54, right: 14, top: 12, bottom: 42 };
export function frame(box, high, description) {
  const width = Math.max(300, Math.min(box.clientWidth || 700, 1000));
  const drawing = svg("svg", { width, height: high, role: "group", "aria-label": description });
  box.replaceChildren(drawing);
  return { drawing, width, right: width - MARGIN.right, bottom: high - MARGIN.bottom };
}
export function yAxis(chart, low, high, name) {
  const { drawing, right, bottom } = chart;
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10);
  const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - MARGIN.top);
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9; i += 1) {
    drawing.append(line(MARGIN.left, y(i * step), right, y(i * step), "grid"),
      label(MARGIN.left - 8, y(i * step) + 4, format(i * step, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))), "end"));
  }
  drawing.append(svg("text", { transform: `translate(12 ${(bottom + MARGIN.top) / 2}) rotate(-90)`, "text-anchor": "middle" }, name));
  return y;
}
export function xAxis(chart, name) {
  chart.drawing.append(line(MARGIN.left, chart.bottom, chart.right, chart.bottom, "axis"),
    label((MARGIN.left + chart.right) / 2, chart.bottom + 36, name));
}
// Write a name beside a point, where no other name is; leave it out where there is no such place.
export function placeName(chart, boxes, text, x, y) {
  const wide = 6.7 * text.length;
  for (const [dx, dy, anchor] of [[9, 16, "start"], [-9, -8, "end"], [9, -8, "start"], [-9, 16, "end"]]) {
    const left = anchor === "end" ? x + dx - wide : x + dx;
    const box = [left, y + dy - 12, left + wide, y + dy + 3];
    if (box[0] < MARGIN.left || box[2] > chart.right || box[1] < 0 || box[3] > chart.bottom) continue;
    if (boxes.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    boxes.push(box);
    chart.drawing.append(label(x + dx, y + dy, text, anchor, "strong"));
    return;
  }
}
