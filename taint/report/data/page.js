"use strict";
(() => {
  const PAGE_ROWS = 50;
  const NODES = 10; // Of one column; the rest are drawn as one.
  const OPTIONS = 500; // Of one list; the text filter finds the rest.
  const VIOLATION = 0;
  const KEYS = ["violation", "gap", "suppressed", "allowed"];
  const data = JSON.parse(document.getElementById("data").textContent);
  const { texts, origins, columns, verdicts } = data;
  const size = columns.verdict.length;
  const NO_SOURCE = "(no source named)";
  const NO_LABEL = "(no label)";
  const $ = (id) => document.getElementById(id);

  // Everything is put into the page as text, never as markup: names come from programs and are not to be trusted.
  const make = (tag, properties = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };
  const draw = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  // Let a name break after its dots and the like, before it breaks anywhere.
  const breakable = (text) => text.split(/(?<=[._/:[\]])/).flatMap((piece, index) => (index ? [document.createElement("wbr"), piece] : [piece]));
  const number = (value) => value.toLocaleString("en");
  const counted = (value, what) => `${number(value)} ${what}${value === 1 ? "" : "s"}`;
  const period = (first, last) => (first === last ? last : first.slice(0, 11) === last.slice(0, 11) ? `${first.replace(" UTC", "")} to ${last.slice(11)}` : `${first} to ${last}`);
  const time = (iso) => iso.replace("T", " ").replace(/(:\d\d)\.\d+/, "$1").replace(/(Z|\+00:00)$/, " UTC");
  const sourceName = (index) => texts[index] || NO_SOURCE;

  // ---- What is chosen

  const chosen = { verdicts: new Set([0, 1, 2, 3]), source: null, collected: null, sink: null, purpose: null, evidence: null, text: "" };
  const form = $("filters");
  let shown = []; // Numbers of the kinds that are chosen, in order.
  let pageNumber = 0;

  // Of each set of origins: which sources and purposes it names.
  const originSources = origins.map((many) => new Set(many.map(([source]) => source)));
  const originPurposes = origins.map((many) => new Set(many.flatMap(([, purposes]) => purposes)));
  const TEXT_COLUMNS = ["sink", "purpose", "evidence", "path", "rule", "mode", "function", "file", "note", "test"];

  function textTest() {
    const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return null;
    const lower = texts.map((text) => text.toLowerCase());
    const tests = words.map((word) => {
      const hit = lower.map((text) => text.includes(word));
      const originHit = origins.map((many) =>
        many.some(([source, purposes, category]) => hit[source] || hit[category] || purposes.some((one) => hit[one])));
      const isTrace = /^[0-9a-f]{4,32}$/.test(word);
      const inTraces = (traces) => traces.some((one) => typeof one === "string" && one.includes(word));
      return (kind) => originHit[columns.origins[kind]]
        || TEXT_COLUMNS.some((name) => hit[columns[name][kind]])
        || (columns.line[kind] > 0 && `${texts[columns.file[kind]]}:${columns.line[kind]}`.toLowerCase().includes(word))
        || (isTrace && (inTraces(columns.traces[kind]) || inTraces(columns.collected[kind])));
    });
    return (kind) => tests.every((test) => test(kind));
  }

  function choose() {
    const passesText = textTest();
    const found = [];
    for (let kind = 0; kind < size; kind += 1) {
      if (!chosen.verdicts.has(columns.verdict[kind])) continue;
      if (chosen.sink !== null && columns.sink[kind] !== chosen.sink) continue;
      if (chosen.purpose !== null && columns.purpose[kind] !== chosen.purpose) continue;
      if (chosen.evidence !== null && columns.evidence[kind] !== chosen.evidence) continue;
      if (chosen.source !== null && !originSources[columns.origins[kind]].has(chosen.source)) continue;
      if (chosen.collected !== null && !originPurposes[columns.origins[kind]].has(chosen.collected)) continue;
      if (passesText && !passesText(kind)) continue;
      found.push(kind);
    }
    return found;
  }

  // ---- Filters

  function swatch(verdict) {
    const svg = draw("svg", { class: "swatch", viewBox: "0 0 28 14" });
    svg.append(draw("rect", { width: 28, height: 14, fill: `url(#fill-${KEYS[verdict]})` }));
    return svg;
  }

  function buildFilters() {
    const flows = [0, 0, 0, 0];
    for (let kind = 0; kind < size; kind += 1) flows[columns.verdict[kind]] += columns.flows[kind];
    verdicts.forEach((name, verdict) => {
      const box = make("input", { type: "checkbox", defaultChecked: true, value: String(verdict), name: "verdict" });
      $("verdicts").append(make("label", { className: "verdict" }, box, swatch(verdict), name, " ", make("b", {}, number(flows[verdict]))));
    });
    const weigh = (of) => {
      const weights = new Map();
      for (let kind = 0; kind < size; kind += 1) {
        for (const one of of(kind)) weights.set(one, (weights.get(one) || 0) + columns.flows[kind]);
      }
      return weights;
    };
    fillSelect("source", weigh((kind) => originSources[columns.origins[kind]]), sourceName);
    fillSelect("collected", weigh((kind) => originPurposes[columns.origins[kind]]));
    for (const name of ["sink", "purpose", "evidence"]) fillSelect(name, weigh((kind) => [columns[name][kind]]));
  }

  function fillSelect(name, weights, show = (index) => texts[index]) {
    const select = form.elements[name];
    const heaviest = [...weights].sort((one, other) => other[1] - one[1]).slice(0, OPTIONS);
    const options = heaviest.map(([index, weight]) => [show(index), index, weight]).sort((one, other) => (one[0] < other[0] ? -1 : 1));
    select.append(make("option", { value: "" }, "all"));
    for (const [text, index, weight] of options) select.append(make("option", { value: String(index) }, `${text} (${number(weight)})`));
    const left = weights.size - options.length;
    if (left) select.append(make("option", { disabled: true }, `${number(left)} more: use the text filter`));
  }

  function set(name, value) {
    chosen[name] = value;
    const select = form.elements[name];
    if (value !== null && ![...select.options].some((one) => one.value === String(value))) {
      select.append(make("option", { value: String(value) }, texts[value] || NO_SOURCE));
    }
    select.value = value === null ? "" : String(value);
  }

  function setVerdicts(only) {
    chosen.verdicts = new Set(only === null ? [0, 1, 2, 3] : [only]);
    for (const box of form.elements.verdict) box.checked = chosen.verdicts.has(Number(box.value));
  }

  let waiting = 0;
  function readForm() {
    chosen.verdicts = new Set([...form.elements.verdict].filter((box) => box.checked).map((box) => Number(box.value)));
    for (const name of ["source", "collected", "sink", "purpose", "evidence"]) {
      const { value } = form.elements[name];
      chosen[name] = value === "" ? null : Number(value);
    }
    chosen.text = form.elements.text.value.trim();
  }
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { readForm(); update(); }, event.target.name === "text" ? 150 : 0);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { readForm(); update(); }, 0));

  // ---- The picture

  // What flows where: for every source, purpose of collection, sink with its purpose, and verdict, how many flows. A flow
  // with several labels is in several of them.
  function bands() {
    const found = new Map();
    for (const kind of shown) {
      const many = origins[columns.origins[kind]];
      const pairs = many.length ? many.flatMap(([source, purposes]) => purposes.map((purpose) => [source, purpose])) : [[-1, -1]];
      const seen = new Set();
      for (const [source, collected] of pairs) {
        const key = `${source},${collected},${columns.sink[kind]},${columns.purpose[kind]},${columns.verdict[kind]}`;
        if (seen.has(key)) continue;
        seen.add(key);
        const band = found.get(key);
        if (band) band.flows += columns.flows[kind];
        else {
          found.set(key, { source, collected, sink: columns.sink[kind], purpose: columns.purpose[kind],
            verdict: columns.verdict[kind], flows: columns.flows[kind] });
        }
      }
    }
    return [...found.values()];
  }

  const LAYERS = [
    { field: "source", title: "Source", plural: "sources", key: (band) => `${band.source}`,
      name: (band) => (band.source < 0 ? NO_LABEL : sourceName(band.source)), under: () => "" },
    { field: "collected", title: "Collected for", plural: "purposes", key: (band) => `${band.collected}`,
      name: (band) => (band.collected < 0 ? NO_LABEL : texts[band.collected]), under: () => "" },
    { field: "sink", title: "Sink, and what it uses data for", plural: "sinks", key: (band) => `${band.sink},${band.purpose}`,
      name: (band) => texts[band.sink], under: (band) => `for ${texts[band.purpose]}` },
  ];

  // The nodes of a layer by their key: those with violations first, then those with most flows; the rest are one.
  function nodesOf(layer, all) {
    const nodes = new Map();
    for (const band of all) {
      const key = layer.key(band);
      let node = nodes.get(key);
      if (!node) {
        node = { id: `${layer.field}:${key}`, stage: layer, band, name: layer.name(band), under: layer.under(band), flows: 0, by: [0, 0, 0, 0] };
        nodes.set(key, node);
      }
      node.flows += band.flows;
      node.by[band.verdict] += band.flows;
    }
    if (nodes.size <= NODES) return nodes;
    const ordered = [...nodes].sort(([, one], [, other]) => other.by[VIOLATION] - one.by[VIOLATION] || other.flows - one.flows);
    const rest = { id: `${layer.field}:rest`, stage: layer, band: null, name: `${number(nodes.size - NODES + 1)} other ${layer.plural}`, under: "",
      flows: 0, by: [0, 0, 0, 0] };
    for (const [key, node] of ordered.slice(NODES - 1)) {
      rest.flows += node.flows;
      node.by.forEach((flows, verdict) => { rest.by[verdict] += flows; });
      nodes.set(key, rest);
    }
    return nodes;
  }

  const measuring = document.createElement("canvas").getContext("2d");
  const FONT = `12px ${getComputedStyle(document.body).fontFamily}`;
  const widthOf = (text, bold) => {
    measuring.font = bold ? `bold ${FONT}` : FONT;
    return measuring.measureText(text).width;
  };

  // Break a name after its dots, slashes and the like, so that it fits; what does not fit in the lines is cut in its middle.
  function wrap(text, width, lines) {
    const pieces = text.match(/[^._/\-\s:]+[._/\-\s:]*|[._/\-\s:]+/g) || [text];
    const found = [];
    let line = "";
    for (const piece of pieces) {
      if (line && widthOf(line + piece, true) > width) {
        found.push(line);
        line = "";
      }
      line += piece;
      while (widthOf(line, true) > width && line.length > 4) {
        let end = line.length - 1;
        while (end > 4 && widthOf(line.slice(0, end), true) > width) end -= 1;
        found.push(line.slice(0, end));
        line = line.slice(end);
      }
    }
    if (line) found.push(line);
    if (found.length <= lines) return found;
    let last = found.slice(lines - 1).join("");
    while (last.length > 4 && widthOf(`…${last}`, true) > width) last = last.slice(1);
    return [...found.slice(0, lines - 1), `…${last}`];
  }

  const says = (by) => by.map((flows, verdict) => (flows ? `${number(flows)} ${verdicts[verdict]}` : "")).filter(Boolean).join(", ");

  function picture(layers, all, width, isNarrow) {
    const byLayer = layers.map((layer) => nodesOf(layer, all));
    const links = new Map();
    for (const band of all) {
      for (let step = 0; step + 1 < layers.length; step += 1) {
        const from = byLayer[step].get(layers[step].key(band));
        const to = byLayer[step + 1].get(layers[step + 1].key(band));
        const key = `${from.id}>${to.id}>${band.verdict}`;
        const link = links.get(key);
        if (link) link.value += band.flows;
        else links.set(key, { source: from.id, target: to.id, verdict: band.verdict, value: band.flows });
      }
    }
    const nodes = [...new Set(byLayer.flatMap((layer) => [...layer.values()]))];
    const most = Math.max(...byLayer.map((layer) => new Set(layer.values()).size));
    const lineHeight = 15;
    const side = isNarrow ? 0 : Math.min(250, width * 0.22);
    const isRight = (layer) => layer === layers[layers.length - 1];
    const isOutside = (layer) => !isNarrow && (layer === layers[0] || isRight(layer));
    for (const node of nodes) {
      const room = isNarrow ? width / 2 - 24 : isOutside(node.stage) ? side - 14 : (width - 2 * side) / 2 - 40;
      node.lines = [...wrap(node.name, room, isNarrow ? 3 : 2).map((line) => ["name", line]),
        ...(node.under ? wrap(node.under, room, 2) : []).map((line) => ["number", line]), ["number", counted(node.flows, "flow")]];
    }
    const gap = Math.max(...nodes.map((node) => node.lines.length)) * lineHeight + 6; // No label ever meets another.
    const top = 28;
    const height = top + most * gap + Math.max(160, most * 22);
    const laid = d3.sankey().nodeId((node) => node.id).nodeWidth(10).nodePadding(gap).nodeAlign((node) => layers.indexOf(node.stage))
      .extent([[side, top + gap / 2], [width - side, height - gap / 2]])
      .nodeSort((one, other) => (one.band === null) - (other.band === null) || other.by[VIOLATION] - one.by[VIOLATION] || other.flows - one.flows)
      .linkSort((one, other) => one.verdict - other.verdict || other.value - one.value)({ nodes, links: [...links.values()] });

    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
      "aria-label": layers.map((layer) => layer.plural).join(" to "), "aria-describedby": "picture-hint" });
    layers.forEach((layer, step) => {
      const x = isRight(layer) ? width : step === 0 ? 0 : side + ((width - 2 * side) * step) / (layers.length - 1);
      svg.append(draw("text", { class: "heading", x, y: 12,
        "text-anchor": isRight(layer) ? "end" : step === 0 ? "start" : "middle" }, layer.title));
    });

    const path = d3.sankeyLinkHorizontal();
    // Violations are drawn last, so that nothing covers them, and never so thin that they are not seen.
    const lay = [...laid.links].sort((one, other) => other.verdict - one.verdict);
    for (const link of lay) {
      const what = `${counted(link.value, "flow")}, ${verdicts[link.verdict]}: ${link.source.name} to ${link.target.name}`
        + (link.target.under ? `, ${link.target.under}` : "");
      const band = draw("path", { class: "band", d: path(link), stroke: `url(#fill-${KEYS[link.verdict]})`,
        "stroke-width": Math.max(link.verdict === VIOLATION ? 3 : 1.5, link.width), role: "button", tabindex: -1, "aria-label": what });
      if (link.source.band && link.target.band) {
        band.addEventListener("click", () => pick([link.source, link.target], link.verdict));
      }
      svg.append(band);
    }
    for (const node of laid.nodes) {
      const isPicked = node.band !== null && chosen[node.stage.field] === node.band[node.stage.field];
      const toLeft = isNarrow ? isRight(node.stage) : node.stage === layers[0];
      const x = toLeft ? node.x0 - 6 : node.x1 + 6;
      const y = (node.y0 + node.y1) / 2 - ((node.lines.length - 1) * lineHeight) / 2;
      const label = draw("text", { "text-anchor": toLeft ? "end" : "start", "dominant-baseline": "central" });
      node.lines.forEach(([kind, line], index) => {
        const isFirstOfKind = index > 0 && (index === node.lines.length - 1 || kind !== node.lines[index - 1][0]);
        if (isFirstOfKind) label.append(draw("tspan", { "font-size": 0 }, " ")); // For those who hear it; it takes no room.
        label.append(draw("tspan", { class: kind, x, y: y + index * lineHeight }, line));
      });
      const what = `${node.stage.title.split(",")[0]} ${node.name}${node.under ? `, ${node.under}` : ""}: ${counted(node.flows, "flow")} (${says(node.by)})`;
      const group = draw("g", { class: "node", role: "button", tabindex: -1, "aria-label": what, "aria-pressed": String(isPicked) },
        draw("rect", { x: node.x0, y: node.y0, width: node.x1 - node.x0, height: Math.max(2, node.y1 - node.y0) }), label);
      if (node.band) group.addEventListener("click", () => pick([node], null));
      svg.append(group);
    }
    stopsOf(svg)[0].setAttribute("tabindex", 0);
    return svg;
  }

  // Choose what a node or a band stands for; choosing a node again takes it back.
  function pick(nodes, verdict) {
    for (const node of nodes) {
      const { field } = node.stage;
      const isBack = nodes.length === 1 && chosen[field] === node.band[field];
      set(field, isBack ? null : node.band[field]);
      if (field === "sink") set("purpose", isBack ? null : node.band.purpose);
    }
    if (verdict !== null) setVerdicts(verdict);
    const focused = document.activeElement && document.activeElement.getAttribute("aria-label");
    update();
    const again = focused && [...document.querySelectorAll("#picture [role=button]")].find((one) => one.getAttribute("aria-label").split(":")[0] === focused.split(":")[0]);
    if (again) again.focus();
  }

  // One stop of the Tab key for a picture; arrow keys go from one thing in it to the next. What listens is not the picture
  // itself: browsers stop at an SVG that listens for focus.
  const stopsOf = (svg) => [...svg.querySelectorAll(".node"), ...[...svg.querySelectorAll(".band")].reverse()];
  const stopAt = (event) => event.target.closest(".node, .band");
  const say = (one) => { $("pointed").textContent = one ? one.getAttribute("aria-label") : ""; };

  function listenToPictures() {
    const place = $("picture");
    place.addEventListener("pointerover", (event) => say(stopAt(event)));
    place.addEventListener("focusin", (event) => {
      const one = stopAt(event);
      if (!one) return;
      for (const stop of stopsOf(one.closest("svg"))) stop.setAttribute("tabindex", -1);
      one.setAttribute("tabindex", 0);
      say(one);
    });
    place.addEventListener("keydown", (event) => {
      const one = stopAt(event);
      if (!one) return;
      const stops = stopsOf(one.closest("svg"));
      const at = stops.indexOf(one);
      const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: stops.length - 1 }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        stops[Math.min(stops.length - 1, Math.max(0, to))].focus();
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        one.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      }
    });
  }

  // The fills of the verdicts differ in their pattern too, for those who do not tell the colours apart.
  function patterns() {
    const marks = {
      violation: [draw("path", { class: "mark-violation", d: "M-2,10 L10,-2 M-2,2 L2,-2 M6,10 L10,6" })],
      gap: [draw("circle", { class: "mark-gap", cx: 4, cy: 4, r: 1.6 })],
      suppressed: [draw("path", { class: "mark-suppressed", d: "M4,0 V8 M0,4 H8" })],
      allowed: [],
    };
    const definitions = draw("defs");
    for (const key of KEYS) {
      definitions.append(draw("pattern", { id: `fill-${key}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" },
        draw("rect", { class: `ground-${key}`, width: 8, height: 8 }), ...marks[key]));
    }
    document.body.append(draw("svg", { width: 0, height: 0, class: "unseen", "aria-hidden": "true", focusable: "false" }, definitions));
  }

  let drawnWidth = 0;
  let current = [];
  function drawPicture() {
    const place = $("picture");
    const width = Math.floor(place.clientWidth);
    drawnWidth = width;
    place.replaceChildren();
    if (!current.length) {
      place.append(make("p", { className: "empty" }, "No flow passes these filters."));
      return;
    }
    if (width >= 760) place.append(picture(LAYERS, current, width, false));
    else {
      const [source, collected, sink] = LAYERS;
      place.append(make("h3", {}, "From sources to what they collect for"), picture([source, collected], current, width, true),
        make("h3", {}, "From what it was collected for to sinks"), picture([collected, { ...sink, title: "Sink, and its purpose" }], current, width, true));
    }
  }
  new ResizeObserver(() => {
    if (Math.floor($("picture").clientWidth) !== drawnWidth) drawPicture();
  }).observe($("picture"));

  function drawAsTable() {
    const details = $("as-table");
    if (!details.open) return;
    const ordered = [...current].sort((one, other) => one.verdict - other.verdict || other.flows - one.flows);
    const rows = ordered.slice(0, 200).map((band) => make("tr", {},
      ...[LAYERS[0].name(band), LAYERS[1].name(band), texts[band.sink], texts[band.purpose], verdicts[band.verdict], number(band.flows)]
        .map((text) => make("td", {}, text))));
    const head = make("tr", {}, ...["Source", "Collected for", "Sink", "Used for", "Verdict", "Flows"].map((text) => make("th", { scope: "col" }, text)));
    const left = ordered.length - rows.length;
    details.querySelector("div").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)),
      left > 0 ? make("p", { className: "hint" }, `${number(left)} more; narrow them down with the filters.`) : "");
  }
  $("as-table").addEventListener("toggle", drawAsTable);

  // ---- The table

  function traceList(title, traces) {
    const more = traces[traces.length - 1];
    const named = traces.slice(0, -1);
    if (!named.length) return [];
    const shownTraces = named.map((id) => {
      const code = make("code", {}, id);
      if (!data.traceUrl) return make("span", { className: "trace" }, code);
      return make("a", { className: "trace", href: data.traceUrl.replaceAll("{trace_id}", id), target: "_blank", rel: "noopener noreferrer" }, code);
    });
    return [make("small", {}, title), ...shownTraces, ...(more ? [make("small", {}, `and of ${counted(more, "other flow")}`)] : [])];
  }

  const placed = (path) => (!path || path.startsWith("selected by ") ? path : `at ${path}`);

  const soft = (text) => (text ? [make("small", {}, ...breakable(text))] : []);

  function row(kind) {
    const text = (name) => texts[columns[name][kind]];
    const verdict = columns.verdict[kind];
    const many = origins[columns.origins[kind]];
    const flows = columns.flows[kind];
    const values = columns.values[kind];
    const first = time(text("first"));
    const last = time(text("last"));
    const collected = many.length
      ? many.flatMap(([source, purposes, category]) => [make("div", { className: "name" }, ...breakable(sourceName(source))),
        ...soft(`for ${purposes.map((one) => texts[one]).join(", ")}`), ...soft(texts[category])])
      : [make("div", {}, NO_LABEL)];
    const place = text("file") ? `${text("file")}:${columns.line[kind]}` : "";
    const cells = [
      ["Verdict", "kind", make("span", { className: `says-${KEYS[verdict]}` }, swatch(verdict), " ", verdicts[verdict]),
        ...soft(`${counted(flows, "flow")}${values > flows ? `, ${counted(values, "value")}` : ""}`),
        ...(last ? [make("small", {}, period(first, last))] : [])],
      ["Collected by", "", ...collected],
      ["Used by", "", make("div", { className: "name" }, ...breakable(text("sink"))), ...soft(`for ${text("purpose")}`)],
      ["How it is known", "", make("div", {}, text("evidence")), ...soft(placed(text("path"))), ...soft(`by rule ${text("rule")}`),
        ...soft(text("mode") && `mode ${text("mode")}`), ...soft(text("note"))],
      ["Call", "", ...(place ? [make("code", {}, ...breakable(place)), ...soft(text("function"))] : [make("span", { className: "soft" }, "not known")]),
        ...soft(text("test") && `in test ${text("test")}`)],
      ["Traces", "", ...traceList("of the flow", columns.traces[kind]), ...traceList("of the collection", columns.collected[kind])],
    ];
    if (cells[5].length === 2) cells[5].push(make("span", { className: "soft" }, "none"));
    return make("tr", { role: "row" }, ...cells.map(([label, kindOf, ...content]) =>
      make("td", { role: "cell", className: kindOf, "data-label": label }, make("div", {}, ...content))));
  }

  const pages = () => Math.max(1, Math.ceil(shown.length / PAGE_ROWS));
  function drawTable() {
    pageNumber = Math.min(pageNumber, pages() - 1);
    const from = pageNumber * PAGE_ROWS;
    document.querySelector("#table tbody").replaceChildren(...shown.slice(from, from + PAGE_ROWS).map(row));
    $("page").textContent = `Page ${number(pageNumber + 1)} of ${number(pages())}`;
    $("previous").disabled = pageNumber === 0;
    $("next").disabled = pageNumber + 1 >= pages();
    document.querySelector(".pages").hidden = pages() === 1;
  }
  const turn = (by) => {
    pageNumber += by;
    drawTable();
    $("flows").focus({ preventScroll: true });
    $("flows").scrollIntoView();
  };
  $("previous").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  $("order").addEventListener("change", () => { pageNumber = 0; sort(); drawTable(); });

  function sort() {
    const by = {
      verdict: (one, other) => one - other, // The order in which they come.
      flows: (one, other) => columns.flows[other] - columns.flows[one] || one - other,
      last: (one, other) => {
        const [here, there] = [texts[columns.last[one]], texts[columns.last[other]]];
        return here === there ? one - other : here < there ? 1 : -1;
      },
    }[$("order").value];
    shown.sort(by);
  }

  // ---- All of it

  function update() {
    shown = choose();
    pageNumber = 0;
    sort();
    current = bands();
    let flows = 0;
    let violations = 0;
    for (const kind of shown) {
      flows += columns.flows[kind];
      if (columns.verdict[kind] === VIOLATION) violations += columns.flows[kind];
    }
    $("count").textContent = `${counted(flows, "flow")} of ${counted(shown.length, "kind")}, ${counted(violations, "violation")}`;
    drawPicture();
    drawAsTable();
    drawTable();
  }

  function tellPeriod() {
    let first = "";
    let last = "";
    for (let kind = 0; kind < size; kind += 1) {
      const [one, other] = [texts[columns.first[kind]], texts[columns.last[kind]]];
      if (one && (!first || one < first)) first = one;
      if (other > last) last = other;
    }
    const widened = data.declassifications ? `; ${counted(data.declassifications, "declassification")} recorded` : "";
    $("period").textContent = (first ? `, ${period(time(first), time(last))}` : "") + widened;
  }

  patterns();
  listenToPictures();
  tellPeriod();
  if (data.notices.length) {
    $("notices").append(...data.notices.map((text) => make("li", {}, text)));
    $("notices").hidden = false;
  }
  buildFilters();
  readForm(); // A browser may have kept what was chosen before the page was loaded again.
  update();
})();
