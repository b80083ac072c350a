"use strict";
const run = JSON.parse(document.getElementById("run").textContent);
const body = document.querySelector("#tests tbody");
const PAGE = 100;
// The legend has one.
const SVG = document.querySelector("svg")?.namespaceURI;
let shown = PAGE;
let order = run.tests.map((_, i) => i);
const opened = new Set();

const make = (tag, attributes = {}, ...children) => {
  const svg = tag === "svg" || tag === "rect" || tag === "title";
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const KINDS = ["input", "cached", "output", "reasoning"];
const count = (number) => number.toLocaleString("en");

function bar(pieces, most) {
  const total = pieces.reduce((sum, piece) => sum + piece, 0);
  const svg = make("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `${count(total)} tokens` });
  let at = 0;
  pieces.forEach((piece, i) => {
    if (!piece || !most) return;
    const width = 100 * piece / most;
    svg.append(make("rect", { class: KINDS[i], x: at, width, height: 10 }, make("title", {}, `${KINDS[i]}: ${count(piece)}`)));
    at += width;
  });
  return svg;
}

function allowed(budget) {
  const [share, text] = budget;
  const kind = share > 1 ? "bad" : share > .8 ? "warn" : "good";
  const svg = make("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": text });
  svg.append(make("title", {}, text), make("rect", { class: "room", width: 100, height: 10 }));
  svg.append(make("rect", { class: kind, width: Math.min(100, 100 * share), height: 10 }));
  return [make("span", { class: kind }, `${Math.round(100 * share)} %`), svg];
}

const seconds = (value) => value === null ? "" : value < 10 ? `${value.toFixed(1)} s` : `${count(Math.round(value))} s`;
const state = (outcome) => make("span", { class: /fail|error/.test(outcome) ? "bad" : outcome === "passed" ? "good" : "quiet" }, outcome);
const LABELS = ["calls", "input", "cached", "output", "reasoning", "USD"];

// A name may be broken where its parts end.
const breakable = (name) => name.split(/(?<=[/_])|(?<=::)|(?=\[)/).flatMap((part) => [part, make("wbr")]);

function row(i) {
  const test = run.tests[i];
  const button = make("button", { type: "button", "aria-expanded": opened.has(i) }, make("code", {}, ...breakable(test.name)));
  button.addEventListener("click", () => { opened.has(i) ? opened.delete(i) : opened.add(i); draw(); body.querySelector(`[data-test="${i}"] button`).focus(); });
  const tr = make("tr", { "data-test": i },
    make("td", { class: "name" }, button),
    make("td", { "data-label": "status" }, state(test.outcome)),
    make("td", { class: "chart" }, bar(test.pieces, run.most)),
    ...test.cells.map((cell, n) => make("td", { class: "n", "data-label": LABELS[n] }, cell)),
    make("td", { class: "n", "data-label": "model time" }, seconds(test.seconds)),
    make("td", { class: "chart", "data-label": "budget" }, ...(test.budget ? allowed(test.budget) : [])));
  return opened.has(i) ? [tr, detail(test)] : [tr];
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
        [line.startsWith("+") ? make("ins", {}, line) : line.startsWith("-") ? make("del", {}, line) : line, "\n"]);
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
    const [model, tokens, cost, where, notes, at, took, pieces, source] = call;
    const line = make("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `${seconds(at - start)} to ${seconds(at - start + took)}` });
    const span = end - start || 1;
    line.append(make("rect", { class: "room", width: 100, height: 10 }), make("rect", { class: "after", x: 100 * (at - start) / span, width: Math.max(1, 100 * took / span), height: 10 }));
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

const haystack = (test) => test.text ??= [test.name, test.outcome, ...test.calls.flatMap((call) => [run.models[call[0]], call[3], call[4]]), ...test.notes].join("\n").toLowerCase();

function number(cell) {
  if (cell === "?" || cell === "unpriced") return Infinity;
  const value = parseFloat(String(cell).replace(/[^0-9.]/g, ""));
  return Number.isNaN(value) ? -1 : value;
}

const KEYS = {
  test: (test) => test.name, status: (test) => test.outcome, tokens: (test) => test.pieces.reduce((sum, piece) => sum + piece, 0),
  time: (test) => test.seconds ?? -1, budget: (test) => test.budget ? test.budget[0] : -1,
};
LABELS.forEach((name, n) => { KEYS[name] = (test) => number(test.cells[n]); });

function draw() {
  body.replaceChildren(...order.slice(0, shown).flatMap(row));
  const left = order.length - Math.min(shown, order.length);
  const more = document.getElementById("more");
  more.hidden = !left;
  more.textContent = `Show ${count(Math.min(left, 10 * PAGE))} more of ${count(order.length)}`;
  document.getElementById("found").textContent = `${count(order.length)} of ${count(run.tests.length)} tests`;
}

let sorting = ["", false];
function arrange() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  order = run.tests.map((_, i) => i).filter((i) => words.every((word) => haystack(run.tests[i]).includes(word)));
  const [name, down] = sorting;
  if (name) {
    const key = KEYS[name];
    order.sort((a, b) => { const [x, y] = [key(run.tests[a]), key(run.tests[b])]; return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1) || a - b; });
  }
  shown = PAGE;
  draw();
}

if (body) {
  document.getElementById("filter").addEventListener("input", arrange);
  document.getElementById("more").addEventListener("click", () => { shown += 10 * PAGE; draw(); });
  for (const th of document.querySelectorAll("#tests th[data-key]")) {
    th.firstChild.addEventListener("click", () => {
      const down = sorting[0] === th.dataset.key ? !sorting[1] : !["test", "status"].includes(th.dataset.key);
      sorting = [th.dataset.key, down];
      for (const other of document.querySelectorAll("#tests th[data-key]")) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      arrange();
    });
  }
  addEventListener("beforeprint", () => { shown = Infinity; draw(); });
  arrange();
  // The first key of a search does not wait for what all of them need.
  window.requestIdleCallback?.(() => run.tests.forEach(haystack));
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
