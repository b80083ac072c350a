"use strict";
const run = JSON.parse(document.getElementById("run").textContent);
const body = document.querySelector("#tests tbody");
// Rows that are shown until more are asked for, and those of them that a screen shows: these are there in the next frame.
const PAGE = 50, SCREEN = 25;
// The legend has one.
const SVG = document.querySelector("svg")?.namespaceURI;

const make = (tag, attributes = {}, ...children) => {
  const element = ["svg", "rect", "title"].includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const picture = (label, ...children) => make("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": label }, ...children);

const KINDS = ["input", "cached", "output", "reasoning"];
const LABELS = ["calls", "input", "cached", "output", "reasoning", "USD"];
const format = new Intl.NumberFormat("en");
const count = (number) => format.format(number);
const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);

function bar(pieces, most) {
  const parts = pieces.flatMap((piece, i) => piece ? [`${KINDS[i]} ${count(piece)}`] : []);
  const svg = picture(`${count(sum(pieces))} tokens`, make("title", {}, parts.join(", ")));
  let at = 0;
  pieces.forEach((piece, i) => {
    if (!piece || !most) return;
    const width = 100 * piece / most;
    svg.append(make("rect", { class: KINDS[i], x: at, width, height: 10 }));
    at += width;
  });
  return svg;
}

function allowed(budget) {
  const [share, text, isLeast] = budget;
  const kind = share > 1 ? "bad" : share > .8 || isLeast ? "warn" : "good";
  return [
    make("span", { class: kind }, isLeast && !share ? "?" : `${isLeast ? "≥ " : ""}${count(Math.round(100 * share))} %`),
    picture(text, make("title", {}, text), make("rect", { class: "room", width: 100, height: 10 }),
      make("rect", { class: kind, width: Math.min(100, 100 * share), height: 10 })),
  ];
}

const seconds = (value) => value === null ? "" : value < 10 ? `${value.toFixed(1)} s` : `${count(Math.round(value))} s`;
const state = (outcome) => make("span", { class: /fail|error/.test(outcome) ? "bad" : outcome === "passed" ? "good" : "quiet" }, outcome);

// A name may be broken where its parts end.
const breakable = (name) => name.split(/(?<=[/_])|(?<=::)|(?=\[)/).flatMap((part) => [part, make("wbr")]);

// The file above the test's own name, which is what is looked for.
function named(name) {
  const [file, ...own] = name.split("::");
  if (!own.length) return make("code", {}, ...breakable(name));
  return make("code", {}, make("span", { class: "file" }, ...breakable(`${file}::`)), make("b", {}, ...breakable(own.join("::"))));
}

// Each row is made once; of an open test its calls follow.
const rows = [];
function row(i) {
  if (rows[i]) return rows[i];
  const test = run.tests[i];
  const button = make("button", { type: "button", "aria-expanded": false }, named(test.name));
  const tr = make("tr", {},
    make("td", { class: "name" }, button),
    make("td", { "data-label": "status" }, state(test.outcome)),
    make("td", { class: "chart" }, bar(test.pieces, run.most)),
    ...test.cells.map((cell, n) => make("td", { class: "n", "data-label": LABELS[n] }, cell)),
    make("td", { class: "n", "data-label": "model time" }, seconds(test.seconds)),
    make("td", { class: "chart", "data-label": "budget" }, ...(test.budget ? allowed(test.budget) : [])));
  button.addEventListener("click", () => {
    const opens = rows[i].length === 1;
    button.setAttribute("aria-expanded", opens);
    if (opens) tr.after(...rows[i].splice(1, 0, detail(test)), rows[i][1]);
    else rows[i].pop().remove();
  });
  return rows[i] = [tr];
}

// What was recorded of a call: text alone, made when it is first asked for.
function bodies(recorded, number) {
  const about = recorded.diff ? "prompt (changed) and answer" : recorded.prompt ? "prompt and answer" : "recording";
  const box = make("details", {}, make("summary", {}, `${about} of call ${number}`));
  box.addEventListener("toggle", () => {
    if (box.children.length > 1) return;
    if (recorded.note) box.append(make("p", { class: "warn" }, recorded.note));
    for (const [part, title] of [["diff", "what changed in the prompt"], ["prompt", "prompt"], ["answer", "answer"]]) {
      if (!recorded[part]) continue;
      const lines = part !== "diff" ? [recorded[part].join("\n")] : recorded.diff.flatMap((line) =>
        [/^(---|\+\+\+|@@)/.test(line) ? make("span", { class: "quiet" }, line) : line.startsWith("+") ? make("ins", {}, line) : line.startsWith("-") ? make("del", {}, line) : line, "\n"]);
      box.append(make("h3", {}, title), make("pre", { tabindex: 0, "aria-label": `${title} of call ${number}`, role: "region" }, ...lines));
    }
  });
  return box;
}

function detail(test) {
  const start = Math.min(...test.calls.map((call) => call[5]));
  const end = Math.max(...test.calls.map((call) => call[5] + call[6]));
  const table = make("table", { class: "cards" });
  table.append(make("thead", {}, make("tr", {}, ...["#", "model", "tokens", "USD", "where", "time", "notes"].map((name) => make("th", { scope: "col", class: ["#", "tokens", "USD"].includes(name) ? "n" : "" }, name)))));
  const rows = make("tbody");
  test.calls.forEach((call, n) => {
    const [model, tokens, cost, , , at, took, pieces, source] = call;
    const [where, notes] = [run.texts[call[3]], run.texts[call[4]]];
    const span = end - start || 1;
    const line = picture(`${seconds(at - start)} to ${seconds(at - start + took)}`, make("rect", { class: "room", width: 100, height: 10 }),
      make("rect", { class: "after", x: 100 * (at - start) / span, width: Math.max(1, 100 * took / span), height: 10 }));
    const share = pieces[0] + pieces[1] ? ` (${Math.round(100 * pieces[1] / (pieces[0] + pieces[1]))} % cached)` : "";
    rows.append(make("tr", {}, make("td", { class: "n" }, String(n + 1)), make("td", {}, run.models[model]),
      make("td", { class: "n", "data-label": "tokens" }, tokens + (pieces[1] ? share : "")),
      make("td", { class: "n", "data-label": "USD", title: run.sources[source] }, cost), make("td", { class: "wide", "data-label": "where" }, make("code", {}, where)),
      make("td", { class: "time" }, line), make("td", { class: "wide", ...(notes ? { "data-label": "notes" } : {}) }, notes)));
    const recorded = test.bodies?.[n];
    if (recorded && Object.keys(recorded).length) rows.append(make("tr", {}, make("td", { class: "wide", colspan: 7 }, bodies(recorded, n + 1))));
  });
  table.append(rows);
  const cell = make("td", { colspan: 11 }, table);
  for (const note of test.notes) cell.append(make("p", { class: "warn" }, note));
  return make("tr", { class: "detail" }, cell);
}

// What is searched: each text once, however many calls have it.
const lower = (text) => text.toLowerCase();
let searched;
function finder(word) {
  searched ??= {
    tests: run.tests.map((test) => lower([test.name, test.outcome, ...test.notes].join("\n"))),
    models: run.models.map(lower), texts: run.texts.map(lower),
  };
  const [models, texts] = [searched.models, searched.texts].map((all) => all.map((text) => text.includes(word)));
  return (i) => searched.tests[i].includes(word)
    || run.tests[i].calls.some((call) => models[call[0]] || texts[call[3]] || texts[call[4]]);
}

function number(cell) {
  if (cell === "?" || cell === "unpriced") return Infinity;
  const value = parseFloat(cell.replace(/[^0-9.]/g, ""));
  return Number.isNaN(value) ? -1 : value;
}

const KEYS = {
  test: (test) => test.name, status: (test) => test.outcome, tokens: (test) => sum(test.pieces),
  time: (test) => test.seconds ?? -1, budget: (test) => test.budget ? test.budget[0] : -1,
};
LABELS.forEach((name, n) => { KEYS[name] = (test) => number(test.cells[n]); });

let order = [];
let shown = PAGE;
let later = 0;

// A screen of rows at once and the others in the frames that follow, so that typing never waits for rows out of sight.
function draw(from = 0) {
  cancelAnimationFrame(later);
  const to = Math.min(shown, order.length);
  const next = Math.min(from + SCREEN, to);
  const found = order.slice(from, next).flatMap(row);
  if (from) body.append(...found);
  else body.replaceChildren(...found);
  if (next < to) later = requestAnimationFrame(() => draw(next));
}

function tell() {
  const left = order.length - Math.min(shown, order.length);
  const more = document.getElementById("more");
  more.hidden = !left;
  more.textContent = `Show ${count(Math.min(left, 10 * PAGE))} more of ${count(order.length)}`;
  document.getElementById("found").textContent = `${count(order.length)} of ${count(run.tests.length)} tests`;
}

let sorting = ["", false];
function arrange() {
  const words = lower(document.getElementById("filter").value).split(/\s+/).filter(Boolean).map(finder);
  order = run.tests.map((_, i) => i).filter((i) => words.every((finds) => finds(i)));
  const [name, down] = sorting;
  if (name) {
    const keys = run.tests.map(KEYS[name]);
    order.sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) * (down ? -1 : 1) || a - b);
  }
  shown = PAGE;
  draw();
  tell();
}

// Columns as wide as the longest of all tests, so that no row that comes later moves those that are read.
function widths() {
  const numbers = LABELS.map((name, n) => run.tests.reduce((most, test) => Math.max(most, test.cells[n].length), .85 * name.length));
  const wide = ["", "6ch", "7rem", ...numbers.map((length) => `${length}ch`), "8.5ch", "5.5rem"];
  const columns = wide.map((width) => { const column = make("col"); column.style.width = width && `calc(${width} + .9rem)`; return column; });
  document.getElementById("tests").prepend(make("colgroup", {}, ...columns));
}

if (body) {
  widths();
  document.getElementById("filter").addEventListener("input", arrange);
  document.getElementById("more").addEventListener("click", () => {
    const from = Math.min(shown, order.length);
    shown += 10 * PAGE;
    draw(from);
    tell();
    // The button may be gone; reading goes on where the new rows begin.
    row(order[from])[0].querySelector("button").focus();
  });
  for (const th of document.querySelectorAll("#tests th[data-key]")) {
    th.firstChild.addEventListener("click", () => {
      const down = sorting[0] === th.dataset.key ? !sorting[1] : !["test", "status"].includes(th.dataset.key);
      sorting = [th.dataset.key, down];
      for (const other of document.querySelectorAll("#tests th[data-key]")) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      arrange();
    });
  }
  // On paper is everything that was found, as nobody can ask for more there.
  addEventListener("beforeprint", () => { cancelAnimationFrame(later); body.replaceChildren(...order.flatMap(row)); });
  addEventListener("afterprint", () => { draw(); });
  arrange();
}

// The tree of causes: arrows move as in any tree, and what is pointed at is told below it.
const tree = document.querySelector("[role=tree]");
if (tree) {
  const told = document.getElementById("told");
  const boxes = (parent) => [...(parent?.children ?? [])].map((place) => place.querySelector(":scope > .box")).filter(Boolean);
  tree.addEventListener("mouseover", (event) => { const box = event.target.closest(".box"); if (box) told.textContent = box.title; });
  tree.addEventListener("focusin", (event) => {
    for (const other of tree.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    event.target.tabIndex = 0;
    told.textContent = event.target.title;
  });
  tree.addEventListener("click", (event) => event.target.closest(".box")?.focus());
  tree.addEventListener("keydown", (event) => {
    const place = event.target.parentElement;
    const beside = boxes(place.parentElement);
    const at = beside.indexOf(event.target);
    const to = {
      ArrowDown: beside[at + 1], ArrowUp: beside[at - 1], Home: beside[0], End: beside.at(-1),
      ArrowRight: boxes(place.querySelector(":scope > .inside"))[0],
      ArrowLeft: boxes(place.closest(".inside")?.parentElement.parentElement).find((box) => box.parentElement.contains(place)),
    }[event.key];
    if (to) { event.preventDefault(); to.focus(); }
  });
}
