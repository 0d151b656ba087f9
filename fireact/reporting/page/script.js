// The browser of trajectories. All text reaches the page as text nodes; no markup is ever parsed here.
"use strict";

/* ---- data: the arrays of page.py, taken apart in its order ---- */

function readCells() {
  const questions = [];
  return Array.from(document.querySelectorAll("script.cell"), (block) => {
    const [name, ...rows] = JSON.parse(block.textContent);
    block.remove(); // its text would stay in memory beside what was read from it
    const cell = { name, trajectories: [], byId: new Map(), byQuestion: new Map() };
    rows.forEach((row) => addTrajectory(cell, row, questions));
    return cell;
  });
}

function addTrajectory(cell, row, questions) {
  const [asked, method, ending, answer, [correct, em, f1, measure, own, unscored], usage, steps, error] = row;
  const question = typeof asked === "number" ? questions[asked] : readQuestion(asked);
  if (typeof asked !== "number") questions.push(question);
  const rounds = steps.filter(([, action]) => action).length;
  const scores = { correct: correct === 1, em, f1, measure, own, unscored };
  const trajectory = { cell, question, method, ending, answer, ...scores, usage, steps, rounds, error };
  cell.trajectories.push(trajectory);
  cell.byId.set(question.id, trajectory);
  cell.byQuestion.set(question, trajectory);
}

function readQuestion([id, text, answer, task, split, choices, kind, calls]) {
  return { id, text, answer, task, split, choices, kind, calls };
}

/* ---- state: the filters, the chosen trajectory and the compared cell; location.hash holds it ---- */

const FILTERS = { cell: "", with: "", outcome: "", ending: "", method: "", task: "", least: "", most: "", find: "" };
const NOTHING = { ...FILTERS, from: "", question: "" };
const HASH_DELAY = 400; // ms; Safari refuses more than 100 changes of the address in 30 s
const SEARCH_DELAY = 120; // ms

const cells = readCells();
const all = cells.flatMap((cell) => cell.trajectories);
let state = { ...NOTHING };
let shown = all;
let filteredBy = "";
let onShow;
let hashTimer = 0;

const cellNamed = (name) => cells.find((cell) => cell.name === name);
const comparedTo = (trajectory) => cellNamed(state.with)?.byQuestion.get(trajectory.question);

/** The trajectory on show: the chosen one, or else the first that passes; undefined if there is none. */
function opened() {
  return state.question ? cellNamed(state.from)?.byId.get(state.question) : shown[0];
}

function hashOf(trajectory) {
  const chosen = trajectory ? { from: trajectory.cell.name, question: trajectory.question.id } : {};
  const set = Object.entries({ ...state, ...chosen }).filter(([, value]) => value !== "");
  return `#${new URLSearchParams(set)}`;
}

function readHash() {
  clearTimeout(hashTimer);
  const given = new URLSearchParams(location.hash.slice(1));
  state = Object.fromEntries(Object.keys(NOTHING).map((key) => [key, given.get(key) ?? ""]));
  for (const select of document.querySelectorAll(".bar select")) {
    const known = Array.from(select.options, (option) => option.value).includes(state[select.name]);
    if (!known && select.name !== "with") state[select.name] = "";
  }
  render();
  reveal(Math.max(0, shown.indexOf(opened())));
}

function change(changes) {
  state = { ...state, ...changes };
  render();
  clearTimeout(hashTimer);
  hashTimer = setTimeout(() => history.replaceState(null, "", hashOf()), HASH_DELAY);
}

/* ---- filtering ---- */

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

function says(trajectory, pattern) {
  const { question, answer, steps } = trajectory;
  const texts = [question.text, question.answer, answer, ...question.choices];
  return texts.some((text) => pattern.test(text)) || steps.some(([thought, action, argument, observation]) =>
    pattern.test(thought) || (action && pattern.test(`${action}[${argument}]`)) || (observation && pattern.test(observation)));
}

const OUTCOMES = {
  "": () => true,
  right: (trajectory) => trajectory.correct,
  wrong: (trajectory) => !trajectory.correct,
  better: (trajectory) => trajectory.correct && comparedTo(trajectory)?.correct === false,
  worse: (trajectory) => !trajectory.correct && comparedTo(trajectory)?.correct === true,
};

function filter() {
  if (!state.with && ["better", "worse"].includes(state.outcome)) state.outcome = "";
  const by = JSON.stringify(Object.keys(FILTERS).map((key) => state[key]));
  if (by === filteredBy) return;
  filteredBy = by;
  const pattern = state.find ? new RegExp(escaped(state.find), "i") : null;
  const least = state.least === "" ? 0 : Number(state.least);
  const most = state.most === "" ? Infinity : Number(state.most);
  shown = all.filter((trajectory) =>
    (!state.cell || trajectory.cell.name === state.cell) &&
    (!state.ending || trajectory.ending === state.ending) &&
    (!state.method || trajectory.method === state.method) &&
    (!state.task || trajectory.question.task === state.task) &&
    trajectory.rounds >= least && trajectory.rounds <= most &&
    OUTCOMES[state.outcome](trajectory) &&
    (!pattern || says(trajectory, pattern)));
  list.scrollTop = 0;
}

/* ---- building blocks ---- */

const at = (id) => document.getElementById(id);
const control = (name) => document.querySelector(`.bar [name=${name}]`);
const list = at("list");
const narrow = matchMedia("(max-width: 48rem)");
const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  made.append(...children);
  return made;
}

/** The text, with what was searched for in <mark>. */
function marked(text) {
  const fragment = document.createDocumentFragment();
  const pieces = state.find ? text.split(new RegExp(`(${escaped(state.find)})`, "i")) : [text];
  pieces.forEach((piece, number) => fragment.append(number % 2 ? element("mark", {}, piece) : piece));
  return fragment;
}

function badge(trajectory, words) {
  const outcome = trajectory.correct ? "right" : "wrong";
  const mark = element("span", { "aria-hidden": "true" }, trajectory.correct ? "✓" : "✗");
  const word = element("span", words ? {} : { class: "hidden" }, words ? ` ${outcome}` : `${outcome}: `);
  return element("b", { class: `badge ${outcome}` }, mark, word);
}

/* ---- the list: only the rows in view are in the document ---- */

const ROW = 80; // px, as in style.css
const SPARE = 6; // rows kept above and below the view

function renderList() {
  const chosen = shown.indexOf(opened());
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
  const rows = shown.slice(first, last).map((trajectory, offset) => row(trajectory, first + offset, chosen));
  at("rows").style.height = `${shown.length * ROW}px`;
  at("rows").replaceChildren(...rows);
  if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", `row-${chosen}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(trajectory, number, chosen) {
  const facts = [count(trajectory.rounds, "round"), trajectory.ending, trajectory.method];
  if (!state.cell && cells.length > 1) facts.push(trajectory.cell.name.replace(/(^|, )[^=,]*=/g, "$1")); // its values alone
  const made = element("a", {
    id: `row-${number}`, class: "row", role: "option", tabindex: "-1", href: hashOf(trajectory),
    "aria-selected": String(number === chosen), "aria-posinset": number + 1, "aria-setsize": shown.length,
  }, badge(trajectory, false), element("span", { class: "text" }, marked(trajectory.question.text)),
  element("span", { class: "about" }, facts.join(" · ")));
  made.style.transform = `translateY(${number * ROW}px)`;
  return made;
}

/** Scroll the list, not the page, so that row `number` is in view. */
function reveal(number) {
  const top = number * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

/* ---- the chosen trajectory, and another cell's beside it ---- */

function renderDetail() {
  const trajectory = opened();
  const other = trajectory && state.with ? comparedTo(trajectory) : undefined;
  const columns = other && other !== trajectory ? [trajectory, other] : [trajectory];
  at("trajectory").classList.toggle("compared", columns.length > 1);
  at("trajectory").replaceChildren(...(trajectory ? [...question(trajectory.question), ...missing(trajectory, other),
    element("div", { class: "columns" }, ...columns.map((one) => acted(one, columns)))] : [notFound()]));
  renderTools(trajectory);
  if (trajectory !== onShow) at("detail").scrollTop = 0;
  onShow = trajectory;
}

function renderTools(trajectory) {
  const place = shown.indexOf(trajectory);
  at("place").textContent = place < 0 ? (trajectory ? "hidden by the filters" : "")
    : `${(place + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
  at("previous").disabled = place === 0 || !shown.length;
  at("next").disabled = place === shown.length - 1;
  at("link").hidden = at("copy").hidden = !trajectory;
  at("link").href = hashOf(trajectory);
  at("copied").textContent = "";
}

function notFound() {
  if (!state.question) {
    return element("p", { class: "notice" }, all.length ? "No trajectory passes these filters." : "No cell has trajectories.");
  }
  const why = cellNamed(state.from)
    ? `The cell “${state.from}” has no trajectory for the question “${state.question}”.`
    : `This report has no cell “${state.from}”.`;
  return element("p", { class: "notice alert" }, why);
}

/** A sentence where the compared cell has nothing to show beside the trajectory. */
function missing(trajectory, other) {
  if (!state.with || (other && other !== trajectory)) return [];
  const why = !cellNamed(state.with) ? `This report has no cell “${state.with}” to compare with.`
    : other ? "This trajectory is of the compared cell itself; choose another cell to compare with."
      : `The compared cell “${state.with}” has no trajectory for this question.`;
  return [element("p", { class: "notice alert" }, why)];
}

function question(asked) {
  const facts = [asked.task, asked.split, asked.kind, asked.id].filter(Boolean).join(" · ");
  const choices = asked.choices.map((choice) => element("li", {}, marked(choice)));
  return [
    element("p", { class: "of" }, facts),
    element("h3", { class: "asked" }, marked(asked.text)),
    ...(choices.length ? [element("ol", { class: "choices", type: "A" }, ...choices)] : []),
    element("p", { class: "gold" }, label("Gold answer"), " ", element("b", { class: "answer" }, marked(asked.answer))),
    ...(asked.calls ? [element("p", { class: "gold" }, label("Calls expected"), " ", marked(asked.calls.join(", ") || "none"))] : []),
  ];
}

const unbroken = (text) => text.replaceAll(" ", "\u00a0");
const label = (text) => element("span", { class: "label" }, text);

function acted(trajectory, columns) {
  const longest = Math.max(...columns.map((one) => one.steps.length));
  const made = element("section", { class: "acted", "aria-label": trajectory.cell.name },
    summary(trajectory), ...trajectory.steps.map(step));
  made.style.gridRow = `1 / span ${longest + 1}`; // rounds of both columns start at the same height
  return made;
}

function summary(trajectory) {
  const { cell, answer, em, f1, measure, own, unscored, ending, rounds, method, usage, error } = trajectory;
  const [lmCalls, searchCalls, tokensIn, tokensOut, cost, seconds] = usage;
  const dollars = cost ? [`$${cost.toPrecision(2)}`] : [];
  const figures = [
    [...(measure && measure !== "EM" && measure !== "F1" ? [`${measure} ${+own.toFixed(2)}`] : []), `EM ${+em.toFixed(2)}`, `F1 ${+f1.toFixed(2)}`, ending, count(rounds, "round"), method],
    [count(lmCalls, "model call"), count(searchCalls, "search", "searches"),
      `${tokensIn.toLocaleString("en")} tokens in, ${tokensOut.toLocaleString("en")} out`, ...dollars, `${seconds.toFixed(1)} s`],
  ];
  return element("div", { class: "summary" },
    element("h4", {}, cell.name),
    element("div", {}, badge(trajectory, true), label("Answer"), " ", element("b", { class: "answer" }, answer ? marked(answer) : "none")),
    ...figures.map((line) => element("p", { class: "figures" }, line.map(unbroken).join(" · "))),
    ...[unscored, error].filter(Boolean).map((why) => element("p", { class: "error" }, why)));
}

function step([thought, action, argument, observation], number) {
  const parts = [];
  if (thought) parts.push(part("thought", "Thought", marked(thought)));
  if (action) parts.push(part("action", "Action", marked(`${action}[${argument}]`)));
  else parts.push(element("div", { class: "malformed" }, "No well-formed action in this turn."));
  if (observation !== null) parts.push(part("observation", "Observation", marked(observation)));
  return element("section", { class: "step", "aria-label": `Round ${number + 1}` },
    element("span", { class: "number" }, String(number + 1)), element("div", {}, ...parts));
}

const part = (kind, name, ...text) => element("div", { class: kind }, label(name), element("p", {}, ...text));

/* ---- the bar ---- */

function renderBar() {
  for (const name of Object.keys(FILTERS)) {
    const field = control(name);
    if (field.value !== state[name]) field.value = state[name];
    field.classList.toggle("set", state[name] !== "");
  }
  document.querySelectorAll("option.compared").forEach((option) => { option.disabled = !state.with; });
  const right = shown.filter((trajectory) => trajectory.correct).length;
  const share = shown.length ? ` · ${right.toLocaleString("en")} right (${(100 * right / shown.length).toFixed(1)} %)` : "";
  at("count").textContent = `${shown.length.toLocaleString("en")} of ${count(all.length, "trajectory", "trajectories")}${share}`;
}

function offer(name, values) {
  const counts = new Map();
  values.forEach((value) => counts.set(value, (counts.get(value) ?? 0) + 1));
  const options = Array.from(counts, ([value, n]) => element("option", { value }, `${value} (${n.toLocaleString("en")})`));
  control(name).append(...options);
}

function render() {
  filter();
  renderBar();
  renderList();
  renderDetail();
}

/* ---- what the reader does ---- */

function move(by) {
  const target = Math.min(shown.length - 1, Math.max(0, shown.indexOf(opened()) + by));
  if (target < 0) return;
  reveal(target);
  change({ from: shown[target].cell.name, question: shown[target].question.id });
}

function clear() {
  change({ ...FILTERS, with: state.with }); // what is compared hides nothing
}

async function copyLink() {
  const address = location.href.split("#")[0] + hashOf(opened());
  try {
    await navigator.clipboard.writeText(address);
    at("copied").textContent = "copied";
  } catch {
    location.hash = hashOf(opened());
    at("copied").textContent = "the address bar holds it";
  }
}

/** The open question follows into the cell that is chosen, so that one question can be seen through all cells. */
function choose(field) {
  if (field.value === state[field.name]) return;
  const follows = field.name === "cell" && field.value && state.question ? { from: field.value } : {};
  change({ [field.name]: field.value, ...follows });
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  "/": () => { control("find").focus(); control("find").select(); },
  c: () => control("with").focus(),
  l: copyLink,
  x: clear,
};
const LIST_KEYS = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  PageDown: () => move(Math.max(1, Math.floor(list.clientHeight / ROW) - 1)),
  PageUp: () => move(-Math.max(1, Math.floor(list.clientHeight / ROW) - 1)),
  Home: () => move(-shown.length),
  End: () => move(shown.length),
  Enter: () => at("detail").focus(),
};

/** From a field to the list, keeping what was typed: browsers empty a search field on Escape. */
function leave(event) {
  event.preventDefault();
  list.focus();
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input, select");
  if (field) {
    if (event.key === "Escape" || (event.key === "Enter" && field.type === "search")) leave(event);
    return;
  }
  const action = KEYS[event.key] ?? (list.contains(event.target) ? LIST_KEYS[event.key] : undefined);
  if (!action) return;
  event.preventDefault();
  if (!narrow.matches) at("browser").scrollIntoView();
  action();
}

function start() {
  offer("cell", all.map((trajectory) => trajectory.cell.name));
  offer("with", all.map((trajectory) => trajectory.cell.name));
  offer("ending", all.map((trajectory) => trajectory.ending));
  offer("method", all.map((trajectory) => trajectory.method));
  offer("task", all.map((trajectory) => trajectory.question.task));
  document.querySelector(".filters").open = !narrow.matches;
  listen();
  readHash();
  // Not before the figures above have their heights.
  addEventListener("load", () => {
    if (location.hash.includes("=")) at(narrow.matches && state.question ? "detail" : "browser").scrollIntoView();
  });
}

function listen() {
  let searching = 0;
  control("find").addEventListener("input", ({ target }) => {
    clearTimeout(searching);
    state.find = target.value; // at once, so that nothing done before the list follows can lose it
    searching = setTimeout(() => change({}), SEARCH_DELAY);
  });
  const form = document.querySelector(".filters form");
  form.addEventListener("input", ({ target }) => choose(target));
  form.addEventListener("change", ({ target }) => choose(target)); // WebDriver sends a select no other
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => { event.preventDefault(); clear(); });
  list.addEventListener("scroll", () => requestAnimationFrame(renderList));
  list.addEventListener("click", () => {
    list.focus({ preventScroll: true }); // a row loses the focus as soon as the rows are drawn anew
    if (narrow.matches) at("detail").scrollIntoView();
  });
  at("previous").addEventListener("click", () => move(-1));
  at("next").addEventListener("click", () => move(1));
  at("copy").addEventListener("click", copyLink);
  at("back").addEventListener("click", () => list.scrollIntoView({ block: "center" }));
  addEventListener("resize", renderList);
  addEventListener("keydown", press);
  addEventListener("hashchange", () => { if (location.hash.includes("=")) readHash(); });
}

start();
