"use strict";
// The board's page. What it shows is in the address: #table=..., filters, order and the open card. Text from results is
// only ever set as text, never as HTML.
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const NONE = "–", GAP = "public - season", PER_PAGE = 100, HEAT_ROWS = 60;
const OFFLINE = "subgrid-forcing", ONLINE = "online-rollout", FIRST = "online-rollout/wilks-f20";
const COSTS = [["call", "µs per call"], ["training", "training, s"], ["parameters", "parameters"]];
const MEASURES = { crps: "CRPS", rmse: "RMSE", anomaly_correlation: "anomaly correlation" };

// ---- Elements ----
function node(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}
const el = (tag, attributes = {}, ...children) => node(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  node(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const line = (x1, y1, x2, y2, className) => svg("line", { x1, y1, x2, y2, class: className });
const label = (x, y, text, anchor = "middle", className = null) =>
  svg("text", { x, y, "text-anchor": anchor, class: className }, text);
const title = (text) => svg("title", {}, text);

// ---- Data ----
const entries = data.entries.map(([name, slug, description, source, trained, authors, commands]) =>
  ({ name, slug, description, source, trained, authors, commands }));
const families = new Map(data.families.map((family) => [family.id, family]));
const tables = new Map(data.tables.map((table) => [table.id, table]));
const bySlug = new Map(entries.map((entry, place) => [entry.slug, place]));

function rowsOf(table) {
  table.objects ??= table.rows.map((values, place) => {
    const row = { place };
    data.fields.forEach((field, i) => { row[field] = values[i]; });
    for (const field of ["origin", "kind", "inputs", "failures"]) row[field] = data.texts[row[field]];
    row.number = row.entry;
    row.entry = entries[row.entry];
    row.lower = `${row.entry.name} ${row.kind} ${row.inputs} ${row.entry.description} ${row.entry.authors}`.toLowerCase();
    return row;
  });
  return table.objects;
}
const first = (metric) => (Array.isArray(metric) ? metric[0] : metric);
function format(value, digits) {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) < 1e6 ? (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits) : value.toExponential(1);
}
const whole = (value) => (value === null ? NONE : value.toLocaleString("en-US"));
const withEnds = (value, low, high, digits) =>
  format(value, digits) + (low === null ? "" : ` [${format(low, digits)}, ${format(high, digits)}]`);
const metricText = (metric, digits) =>
  (Array.isArray(metric) ? withEnds(...metric, digits) : format(metric, digits));
const signed = (value) => { const text = format(value, 2); return text.startsWith("-") ? text : `+${text}`; };
const isApart = ([, low, high]) => low > 0 || high < 0;
function gapText({ gap }) {
  if (gap === null) return NONE;
  const [value, low, high] = gap;
  return `${signed(value)} [${signed(low)}, ${signed(high)}]${isApart(gap) ? " ≠ 0" : ""}`;
}
function freshText({ fresh }) {
  if (fresh === null) return NONE;
  const [value, low, high] = fresh;
  return `${signed(value)} [${signed(low)}, ${signed(high)}]${low > 0 ? " > 0" : ""}`;
}
const isReference = (row) => row.origin === "reference";
const gapClass = ({ gap }) => (gap !== null && isApart(gap) ? "apart" : null);
const scoreText = (row) => withEnds(row.score, row.low, row.high, 1);

// ---- State ----
const DEFAULTS = { table: tables.has(FIRST) ? FIRST : (data.tables[0]?.id ?? ""), q: "", kind: "", inputs: "", origin: "", sort: "score", order: "", page: "1", card: "" };
let state = { ...DEFAULTS };

function readAddress() {
  const found = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  state = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) if (Object.hasOwn(found, key)) state[key] = found[key];
  if (!tables.has(state.table)) {
    state.table = data.tables.find((table) => table.task === state.table)?.id ?? DEFAULTS.table;
  }
}
function address(change) {
  const wanted = { ...state, ...change };
  const parts = new URLSearchParams(Object.entries(wanted).filter(([key, value]) => value !== DEFAULTS[key]));
  return "#" + parts.toString().replaceAll("%2F", "/");
}
function go(change, quietly = false) {
  const target = address(change);
  if (quietly) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  show();
}
function openLink(event, change) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(change);
}
const link = (text, change, attributes = {}) =>
  el("a", { href: address(change), onclick: (event) => openLink(event, change), ...attributes }, text);
const cardLink = (row) => link(row.entry.name, { card: row.entry.slug });

// ---- Columns and rows ----
function columnsOf(table) {
  const rows = rowsOf(table), own = families.get(table.family).columns;
  const columns = [
    { id: "rank", header: "rank", value: (row) => row.rank, up: true, cell: (row) => row.rank ?? NONE },
    { id: "entry", header: "entry", value: (row) => row.entry.name.toLowerCase(), text: true, up: true },
    { id: "score", header: "score", value: (row) => row.score, cell: (row) => format(row.score, 1) },
    { id: "interval", header: `${100 * table.level} % interval`, value: (row) => row.low, cell: (row) => `${format(row.low, 1)} – ${format(row.high, 1)}` },
    ...(table.season ? [{ id: "gap", header: GAP, value: (row) => first(row.gap), cell: gapText, help: () => gapHelp([table]) }] : []),
    ...own.map(([header, digits, meaning], i) => ({
      id: `m${i}`, header, value: (row) => first(row.metrics[i]), cell: (row) => format(first(row.metrics[i]), digits),
      tip: (row) => (Array.isArray(row.metrics[i]) ? metricText(row.metrics[i], digits) : null),
      ...(meaning && { help: () => help(header, [meaning]) }),
    })).filter((column) => rows.some((row) => column.value(row) !== null)),
    { id: "parameters", header: "parameters", value: (row) => row.parameters, up: true, cell: (row) => whole(row.parameters) },
    { id: "training", header: "training s", value: (row) => row.training, up: true, cell: (row) => format(row.training, 1) },
    { id: "call", header: "µs per call", value: (row) => row.call, up: true, cell: (row) => format(row.call, 2), tip: (row) => (row.steps === null ? null : `${format(row.steps, 2)} steps of the reference kernel`) },
    { id: "kind", header: "kind", value: (row) => row.kind, text: true, up: true },
    { id: "inputs", header: "inputs", value: (row) => row.inputs, text: true, up: true },
    { id: "origin", header: "kind of row", value: (row) => row.origin, text: true, up: true },
  ];
  if (rows.some((row) => row.fresh !== null)) {
    columns.push({ id: "fresh", header: "public - fresh draw", value: (row) => first(row.fresh), cell: freshText });
  }
  return columns;
}
function selected(table) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = rowsOf(table).filter((row) =>
    ["kind", "inputs", "origin"].every((field) => !state[field] || row[field] === state[field]) &&
    words.every((word) => row.lower.includes(word)));
  const column = columnsOf(table).find((each) => each.id === state.sort) ?? columnsOf(table)[2];
  const sign = ascending(column) ? 1 : -1;
  const known = (value) => value !== null && value !== undefined;
  return rows.sort((a, b) => {
    const x = column.value(a), y = column.value(b);
    if (!known(x) || !known(y)) return known(y) - known(x) || a.place - b.place;
    return (x < y ? -sign : x > y ? sign : 0) || a.place - b.place;
  });
}
const ascending = (column) => (state.order ? state.order === "up" : Boolean(column.up));
// Where a scale of scores begins: a few hopeless rows must not squeeze all others.
function floorOf(rows) {
  const scores = rows.map((row) => row.low).sort((a, b) => a - b);
  return scores.length ? Math.max(0, Math.min(90, 10 * Math.floor(scores[Math.floor(0.15 * scores.length)] / 10))) : 0;
}

// ---- The table ----
// What a column means, behind a button: a popover opens by mouse, key and touch, and closes by Escape.
function help(name, paragraphs) {
  const text = el("div", { class: "help", popover: "auto" }, ...paragraphs.map((each) => el("p", {}, each)));
  const button = el("button", { type: "button", class: "about", "aria-label": `What is ${name}?` }, "?");
  button.popoverTargetElement = text;
  text.addEventListener("beforetoggle", () => {
    const at = button.getBoundingClientRect(), left = Math.max(8, Math.min(at.left, innerWidth - 344));
    text.style.inset = at.bottom < innerHeight / 2 ? `${at.bottom + 6}px auto auto ${left}px` : `auto auto ${innerHeight - at.top + 6}px ${left}px`;
  });
  return [button, text];
}
function gapHelp(found) {
  return help(GAP, [$("gap-text").textContent, ...found.map(({ task, season: [name, counts] }) => `${task}, season ${name}. ${counts}`)]);
}
function name(row) {
  const badge = el("span", { class: `badge ${row.origin === "sealed" ? "sealed" : ""}` }, row.origin);
  const flags = row.flags.map(([mark, text]) => el("span", { class: "flag", title: text, role: "img", "aria-label": `flag ${mark}: ${text}` }, mark));
  return [cardLink(row), badge, ...flags];
}
function intervalPlot(row, low) {
  const width = 96, x = (value) => 4 + (width - 8) * Math.min(1, Math.max(0, (value - low) / (100 - low)));
  const drawing = svg("svg", { width, height: 14, "aria-hidden": "true" });
  if (row.score < low) drawing.append(label(2, 11, "◂", "start"));
  else drawing.append(line(x(row.low), 7, x(row.high), 7, "whisker"), svg("circle", { cx: x(row.score), cy: 7, r: 3, class: "point" }));
  return drawing;
}
function showTable(table, rows) {
  const columns = columnsOf(table), low = floorOf(rowsOf(table));
  const pages = Math.max(1, Math.ceil(rows.length / PER_PAGE));
  const page = Math.min(pages, Math.max(1, Number.parseInt(state.page, 10) || 1));
  const shown = rows.slice((page - 1) * PER_PAGE, page * PER_PAGE);
  const head = columns.map((column) => {
    const isSorted = column.id === state.sort;
    const order = ascending(column) ? "ascending" : "descending";
    const next = isSorted ? (order === "ascending" ? "down" : "up") : "";
    const sort = el("button", { type: "button", "data-sort": column.id, onclick: () => { go({ sort: column.id, order: next, page: "1" }, true); $("table").querySelector(`[data-sort="${column.id}"]`).focus(); } }, column.header);
    return el("th", { scope: "col", "aria-sort": isSorted ? order : null, class: [column.text ? "text" : "", column.id === "entry" ? "name" : ""].join(" ").trim() || null },
      column.help ? el("div", { class: "helped" }, sort, ...column.help()) : sort);
  });
  const body = shown.map((row) => el("tr", { class: isReference(row) ? "reference" : null }, ...columns.map((column) => {
    if (column.id === "entry") return el("th", { scope: "row" }, ...name(row));
    if (column.id === "interval") return el("td", { class: "interval" }, column.cell(row), intervalPlot(row, low));
    return el("td", { class: column.text ? "text" : column.id === "score" ? "score" : column.id === "gap" ? gapClass(row) : null, title: column.id === "score" ? scoreText(row) : column.tip?.(row) ?? null },
      String(column.cell ? column.cell(row) : column.value(row)));
  })));
  $("table").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
  const all = table.rows.length, range = pages > 1 ? `${(page - 1) * PER_PAGE + 1} to ${(page - 1) * PER_PAGE + shown.length} of ` : "";
  $("count").textContent = rows.length === all ? `${range}${whole(all)} rows` : `${range}${whole(rows.length)} of ${whole(all)} rows`;
  $("pages").hidden = pages === 1;
  for (const [id, to, off] of [["previous", page - 1, page === 1], ["next", page + 1, page === pages]]) {
    $(id).disabled = off;
    $(id).onclick = () => { go({ page: String(to) }); $("table-title").scrollIntoView(); };
  }
  $("about").textContent = `${table.task}. ${table.about}`;
}
function showFilters(table) {
  for (const field of ["kind", "inputs", "origin"]) {
    const values = [...new Set(rowsOf(table).map((row) => row[field]))].sort();
    if (state[field] && !values.includes(state[field])) values.unshift(state[field]);
    $(field).replaceChildren(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    $(field).value = state[field];
  }
  if ($("q").value !== state.q) $("q").value = state.q;
}
function showPlaces(table) {
  const family = families.get(table.family);
  const keep = { page: "1", card: "", sort: "score", order: "" };
  const sameRegime = (id) => data.tables.find((each) => each.family === id && each.regime === table.regime) ?? data.tables.find((each) => each.family === id);
  $("families").replaceChildren(...data.families.map((each) =>
    link(each.title, { ...keep, table: sameRegime(each.id).id }, { "aria-current": each === family ? "true" : null })));
  $("regimes").replaceChildren(...data.tables.filter((each) => each.family === table.family).map((each) =>
    link(each.regime, { ...keep, table: each.id }, { "aria-current": each === table ? "true" : null })));
  $("question").textContent = family.question;
  $("table-title").textContent = `${family.title}, ${table.regime}`;
}

// ---- Charts ----
const MARGIN = { left: 46, right: 14, top: 12, bottom: 42 };
function frame(box, high, description) {
  const width = Math.max(300, Math.min(box.clientWidth || 700, 1000));
  const drawing = svg("svg", { width, height: high, role: "group", "aria-label": description });
  box.replaceChildren(drawing);
  return { drawing, width, right: width - MARGIN.right, bottom: high - MARGIN.bottom };
}
function yAxis(chart, low, high, name) {
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
function xAxis(chart, name) {
  chart.drawing.append(line(MARGIN.left, chart.bottom, chart.right, chart.bottom, "axis"),
    label((MARGIN.left + chart.right) / 2, chart.bottom + 36, name));
}
function showPareto(rows) {
  const ranked = rows.filter((row) => row.rank !== null);
  const offered = COSTS.filter(([id]) => ranked.some((row) => row[id] > 0));
  $("pareto-section").hidden = offered.length === 0;
  if (offered.length === 0) return;
  const chosen = offered.find(([id]) => id === $("cost").value) ?? offered[0];
  $("cost").replaceChildren(...offered.map(([id, text]) => new Option(text, id, false, id === chosen[0])));
  const [cost, costName] = chosen;
  const priced = ranked.filter((row) => row[cost] > 0), low = floorOf(priced);
  const points = priced.filter((row) => row.score >= low).sort((a, b) => a[cost] - b[cost] || b.score - a.score);
  let best = -Infinity;
  const front = points.filter((row) => row.score > best && (best = row.score, true));
  const chart = frame($("pareto"), 380, `Score against ${costName}; ${front.length} entries are best at their cost.`);
  const costs = priced.map((row) => Math.log10(row[cost])), from = Math.min(...costs) - 0.1, to = Math.max(...costs) + 0.1;
  const x = (value) => MARGIN.left + 10 + ((Math.log10(value) - from) / (to - from)) * (chart.right - MARGIN.left - 20);
  const top = Math.max(100, ...points.map((row) => row.score));
  const y = yAxis(chart, low, top, "score");
  const steps = to - from < 3 ? [1, 2, 5] : [1];
  for (let power = Math.floor(from); power <= to; power += 1) {
    for (const at of steps.map((step) => step * 10 ** power).filter((value) => value >= 10 ** from && value <= 10 ** to)) {
      chart.drawing.append(line(x(at), MARGIN.top, x(at), chart.bottom, "grid"),
        label(x(at), chart.bottom + 17, power < 0 ? at.toFixed(-power) : whole(at)));
    }
  }
  xAxis(chart, `${costName} (log scale)`);
  if (front.length) {
    const path = front.map((row, i) => (i ? `H${x(row[cost])}V${y(row.score)}` : `M${x(row[cost])} ${y(row.score)}`)).join("");
    chart.drawing.append(svg("path", { class: "front", d: `${path}H${chart.right}` }));
  }
  const boxes = [];
  const order = [...points.filter((row) => !front.includes(row)), ...front];
  for (const row of order) {
    const isBest = front.includes(row), change = { card: row.entry.slug };
    const text = `${row.entry.name}: score ${scoreText(row)}, ${costName} ${format(row[cost], cost === "parameters" ? 0 : 2)}`;
    chart.drawing.append(svg("a", { href: address(change), class: isBest ? "best" : null, tabindex: isBest ? null : "-1", "aria-label": text, onclick: (event) => openLink(event, change) },
      title(text), svg("circle", { class: "dot", cx: x(row[cost]), cy: y(row.score), r: isBest ? 5 : 4 })));
  }
  for (const row of [...front].reverse()) placeName(chart, boxes, row.entry.name, x(row[cost]), y(row.score));
  const hidden = priced.length - points.length, free = ranked.length - priced.length;
  $("pareto-note").textContent = "Filled: no cheaper entry has a better score." +
    (hidden ? ` Below the scale: ${hidden}.` : "") + (free ? ` Without this cost: ${free}.` : "");
}
function placeName(chart, boxes, text, x, y) {
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
function curvesChart(box, curves, measure, lines) {
  const { lead } = curves, series = lines.map((each) => curves[measure][each.row.place]);
  const chart = frame(box, 330, `${MEASURES[measure]} by lead: ${lines.map((each) => each.row.entry.name).join(", ")}`);
  const values = series.flat(), last = lead[lead.length - 1];
  const y = yAxis(chart, Math.min(0, ...values), Math.max(...values), MEASURES[measure]);
  const x = (value) => MARGIN.left + (value / last) * (chart.right - MARGIN.left);
  for (let at = 0; at <= last + 1e-9; at += last > 4 ? 1 : 0.5) chart.drawing.append(label(x(at), chart.bottom + 17, format(at, 1)));
  xAxis(chart, "lead, model time units");
  lines.forEach((each, i) => {
    const d = series[i].map((value, k) => `${k ? "L" : "M"}${x(lead[k]).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    chart.drawing.append(svg("path", { class: `curve ${each.style}`, d }, title(each.row.entry.name)));
  });
  box.append(el("ul", { class: "legend" }, ...lines.map((each) => el("li", {},
    svg("svg", { width: 30, height: 8, "aria-hidden": "true" }, svg("path", { class: `curve ${each.style}`, d: "M0 4H30" })), cardLink(each.row)))));
}
function showCurves(table, rows) {
  const measures = Object.keys(MEASURES).filter((each) => table.curves?.[each]);
  $("curves-section").hidden = measures.length === 0;
  if (measures.length === 0) return;
  const measure = measures.includes($("measure").value) ? $("measure").value : measures[0];
  $("measure").replaceChildren(...measures.map((each) => new Option(MEASURES[each], each, false, each === measure)));
  const has = (row) => table.curves[measure][row.place];
  curvesChart($("curves"), table.curves, measure, [
    ...rowsOf(table).filter((row) => isReference(row) && has(row)).map((row) => ({ row, style: "back" })),
    ...rows.filter((row) => !isReference(row) && has(row)).slice(0, 6).map((row, i) => ({ row, style: `k${i}` })),
  ]);
}
function showHeat(table, rows) {
  const across = data.tables.filter((each) => each.family === table.family);
  $("heat-section").hidden = across.length < 2;
  if (across.length < 2) return;
  const found = across.map((each) => new Map(rowsOf(each).map((row) => [row.number, row])));
  const low = floorOf(across.flatMap(rowsOf).filter((row) => row.rank !== null));
  // The strongest colour still lets the text stand out, in light and dark.
  const strength = (score) => Math.round(72 * Math.min(1, Math.max(0, (score - low) / (100 - low))));
  const body = rows.slice(0, HEAT_ROWS).map((row) => el("tr", { class: isReference(row) ? "reference" : null },
    el("th", { scope: "row" }, cardLink(row)),
    ...found.map((each) => {
      const own = each.get(row.number);
      const cell = el("td", { class: own ? null : "none", title: own ? scoreText(own) : null }, own ? format(own.score, 1) : NONE);
      if (own) cell.style.setProperty("--v", strength(own.score));
      return cell;
    })));
  const head = el("tr", {}, el("th", { scope: "col", class: "name" }, "entry"), ...across.map((each) => el("th", { scope: "col" }, each.regime)));
  $("heat").replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
  $("heat-note").textContent = `Scores of the rows of the table above${rows.length > HEAT_ROWS ? `, the first ${HEAT_ROWS}` : ""}; the colour goes from ${low}, pale, to 100.`;
}
const pictures = (shown) => shown.map(([text, , source]) =>
  el("figure", {}, el("img", { src: source, alt: `Hovmöller picture: ${text}`, loading: "lazy" }), el("figcaption", {}, text)));
function showWeather(table) {
  $("weather-section").hidden = table.pictures.length === 0;
  $("weather").replaceChildren(...pictures(table.pictures));
}

// ---- Cards ----
function rowsOfEntry(number) {
  return data.tables.flatMap((table) => rowsOf(table).filter((row) => row.number === number).map((row) => ({ table, row })));
}
function plainTable(name, head, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", class: i ? null : "name text" }, text)))),
    el("tbody", {}, ...rows.map(([text, ...cells]) => el("tr", {}, el("th", { scope: "row" }, text), ...cells.map((cell) => el("td", {}, cell)))))));
}
const rankText = (row) => (isReference(row) ? "reference" : row.rank === null ? "no rank" : `rank ${row.rank}`);
function sideBySide(own) {
  const across = data.families.filter((family) => own.some((each) => each.table.family === family.id));
  const regimes = [...new Set(own.map((each) => each.table.regime))];
  return plainTable("Scores by regime and family", ["regime", ...across.map((family) => family.title)], regimes.map((regime) => [regime, ...across.map((family) => {
    const found = own.find((each) => each.table.family === family.id && each.table.regime === regime);
    return found ? `${scoreText(found.row)}, ${rankText(found.row)}` : NONE;
  })]));
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
  const rows = own.map((each) => each.row), line = (text, of) => [text, ...rows.map(of)];
  const metrics = family.columns.map(([header, digits], i) => line(header, (row) => metricText(row.metrics[i], digits)))
    .filter(([, ...cells]) => cells.some((cell) => cell !== NONE));
  return el("div", {}, el("h3", {}, family.title), plainTable(`${family.title}: metrics by regime`, ["metric", ...own.map((each) => each.table.regime)], [
    line("score", scoreText), line("kind of row", (row) => row.origin), line("rank", (row) => String(row.rank ?? NONE)),
    ...(rows.some((row) => row.fresh !== null) ? [line("public - fresh draw", freshText)] : []),
    line("score of each seed", (row) => row.seeds.map((value) => format(value, 1)).join(", ") || NONE), ...metrics,
    line("failures", (row) => row.failures), line("parameters", (row) => whole(row.parameters)),
    line("training, s", (row) => format(row.training, 1)), line("a call, µs", (row) => format(row.call, 2)),
    line("a call, steps of the kernel", (row) => format(row.steps, 2)), line("predictions", (row) => row.digest)]));
}
function fillCard(number) {
  const entry = entries[number], own = rowsOfEntry(number), rows = own.map((each) => each.row);
  const distinct = (of) => [...new Set(rows.map(of))].filter(Boolean).join("; ");
  const spread = (field, digits, unit) => {
    const ends = [Math.min, Math.max].map((end) => format(end(...rows.map((row) => row[field]).filter((value) => value !== null)), digits));
    return ends[0] === format(Infinity, digits) ? "" : `${ends[0] === ends[1] ? ends[0] : ends.join(" to ")} ${unit}`;
  };
  const flags = [...new Set(rows.flatMap((row) => row.flags.map(([mark, text]) => `${mark}: ${text}`)))].join("; ");
  const facts = [["Kind", distinct((row) => row.kind)], ["Inputs", distinct((row) => row.inputs)], ["Kind of row", distinct((row) => row.origin)], ["Flags", flags],
    ["Cost", [spread("call", 2, "µs a call"), spread("steps", 2, "steps of the reference kernel"), spread("training", 1, "s of training")].filter(Boolean).join("; ")],
    ["Parameters", distinct((row) => (row.parameters === null ? "" : whole(row.parameters)))], ["Trained on", entry.trained], ["Authors", entry.authors], ["Source", entry.source]];
  const compared = own.filter(({ row }) => row.gap !== null);
  if (compared.length) {
    facts.splice(2, 0, [el("div", { class: "helped" }, GAP, ...gapHelp(compared.map(({ table }) => table))),
      el("div", {}, ...compared.map(({ table, row }) => el("div", { class: gapClass(row) }, `${families.get(table.family).title}, ${table.regime}: ${gapText(row)}`)))]);
  }
  const shown = own.flatMap(({ table }) => table.pictures.filter(([, slug]) => slug === entry.slug).flatMap(([text, , source]) =>
    [[`truth, ${table.regime}`, "", table.pictures[0][2]], [`${text}, ${table.regime}`, "", source]]));
  $("card").replaceChildren(el("div", {},
    el("div", { class: "heading" }, el("h2", { id: "card-title" }, entry.name), el("button", { type: "button", onclick: () => $("card").close() }, "Close")),
    entry.description ? el("p", {}, entry.description) : null,
    el("dl", {}, ...facts.filter(([, text]) => text).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
    el("h3", {}, "All families"), sideBySide(own), offlineOnline(own),
    ...data.families.map((family) => [family, own.filter((each) => each.table.family === family.id)])
      .filter(([, found]) => found.length).map(([family, found]) => details(family, found)),
    shown.length ? el("h3", {}, "One state, and what follows") : null, shown.length ? el("div", { class: "pictures" }, ...pictures(shown)) : null,
    entry.commands.length ? el("h3", {}, "How to reproduce it") : null,
    entry.commands.length ? el("pre", { tabindex: "0" }, entry.commands.join("\n")) : null));
}
let shownCard = "";
function showCard() {
  const number = bySlug.get(state.card);
  if (number === undefined) {
    shownCard = "";
    if ($("card").open) $("card").close();
    return;
  }
  if (shownCard !== state.card) fillCard(number);
  shownCard = state.card;
  if (!$("card").open) { $("card").showModal(); $("card").scrollTop = 0; }
}

// ---- Together ----
let drawn = "";
function show() {
  readAddress();
  const table = tables.get(state.table);
  const view = address({ card: "" });
  if (table && view !== drawn) {
    drawn = view;
    const rows = selected(table);
    showPlaces(table);
    showFilters(table);
    showTable(table, rows);
    // The pictures are further down: the table is painted first.
    requestAnimationFrame(() => setTimeout(() => drawn === view && showCharts(), 0));
  }
  showCard();
}
function showCharts() {
  const table = tables.get(state.table), rows = selected(table);
  showPareto(rows);
  showCurves(table, rows);
  showHeat(table, rows);
  showWeather(table);
}
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  $("theme").textContent = isDark ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", isDark ? "Switch to light colours" : "Switch to dark colours");
  $("theme").onclick = () => setTheme(isDark ? "light" : "dark");
}
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", () => go({ q: "", kind: "", inputs: "", origin: "", page: "1" }));
$("q").addEventListener("input", () => go({ q: $("q").value, page: "1" }, true));
for (const field of ["kind", "inputs", "origin"]) $(field).addEventListener("change", () => go({ [field]: $(field).value, page: "1" }));
for (const field of ["cost", "measure"]) $(field).addEventListener("change", showCharts);
$("card").addEventListener("close", () => { if (state.card) go({ card: "" }); });
$("card").addEventListener("click", (event) => { if (event.target === $("card")) $("card").close(); });
addEventListener("popstate", show);
addEventListener("hashchange", show);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; showCharts(); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!document.documentElement.dataset.theme) setTheme(""); });
setTheme("");
$("theme").hidden = false;
$("board").hidden = data.tables.length === 0;
show();
})();
