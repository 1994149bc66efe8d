"use strict";
// The desk of a page that writes: what a person sees and does. The model works in a worker,
// made of the page's own text, so the page never freezes and nothing is loaded.

/** @typedef {{text: string, caret: number}} Moment */

const ROWS = 8; // of likeliest characters
const BURST = 1200; // milliseconds: typing with shorter pauses is undone in one step
const STEPS_KEPT = 300;
const NAMES = /** @type {Record<string, string>} */ ({ " ": "space", "\n": "new line", "\t": "tab" });
/** @type {[number, string][]} up to which temperature a word describes it */
const TEMPERATURES = [[0.45, "careful"], [0.7, "measured"], [0.95, "lively"], [1.2, "bold"], [9, "wild"]];

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
function part(id) {
  return /** @type {T} */ (document.getElementById(id));
}

const text = /** @type {HTMLTextAreaElement} */ (part("text"));
const sheet = part("sheet");
const mirror = part("mirror");
const unit = /** @type {HTMLSelectElement} */ (part("unit"));
const slider = /** @type {HTMLInputElement} */ (part("temperature"));
const seed = /** @type {HTMLInputElement} */ (part("seed"));
const colours = /** @type {HTMLInputElement} */ (part("colours"));
const choices = /** @type {HTMLButtonElement[]} */ ([...part("choices").querySelectorAll("button")]);
const model = JSON.parse(part("model").textContent || "");
const draft = `textgen:${model.hash}`;

/** @param {string} message */
function say(message) {
  if (part("status").textContent !== message) part("status").textContent = message;
}

// The worker and its jobs.

/** @type {Map<number, {progress: (part: any) => void, resolve: (whole: any) => void, reject: (error: Error) => void}>} */
const jobs = new Map();
let lastJob = 0;

function makeWorker() {
  const source = part("engine").textContent || "";
  const made = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  made.onmessage = ({ data }) => {
    const job = jobs.get(data.job);
    if (!job) return;
    if (!data.done) {
      job.progress(data);
      return;
    }
    jobs.delete(data.job);
    if (data.error) job.reject(new Error(data.error));
    else job.resolve(data);
  };
  made.onerror = fail;
  return made;
}

function fail() {
  say("This browser cannot run the model: the page needs one of the last three years.");
  document.body.classList.add("failed");
}

/**
 * Give the worker a job.
 * @param {string} type
 * @param {object} values
 * @param {(part: any) => void} progress is given what there is so far
 * @returns {{job: number, answer: Promise<any>}}
 */
function ask(type, values, progress = () => {}) {
  const job = ++lastJob;
  const answer = new Promise((resolve, reject) => jobs.set(job, { progress, resolve, reject }));
  worker.postMessage({ type, job, ...values });
  return { job, answer };
}

/** @param {number} job */
function cancel(job) {
  if (jobs.has(job)) worker.postMessage({ type: "stop", job });
}

// The text and its history.

/** @type {Moment[]} */
let past = [];
/** @type {Moment[]} */
let future = [];
/** @type {Moment} */
let now = { text: "", caret: 0 };
let lastTyped = -Infinity;

function remember() {
  past.push(now);
  past = past.slice(-STEPS_KEPT);
  future = [];
}

/**
 * Show a text.
 * @param {Moment} moment
 */
function show(moment) {
  const atEnd = sheet.scrollHeight - sheet.scrollTop - sheet.clientHeight < 40;
  now = moment;
  text.value = moment.text;
  text.setSelectionRange(moment.caret, moment.caret);
  paint();
  if (atEnd && moment.caret === moment.text.length) sheet.scrollTop = sheet.scrollHeight;
}

/** What follows each change: nothing offered before it holds any more. */
function changed() {
  part("undo").toggleAttribute("disabled", !past.length);
  part("redo").toggleAttribute("disabled", !future.length);
  clearTimeout(saving);
  saving = setTimeout(save, 300);
  offerNothing();
  look();
}

/**
 * @param {Moment[]} from
 * @param {Moment[]} to
 */
function travel(from, to) {
  const moment = from.pop();
  if (!moment) return;
  stopWriting();
  to.push(now);
  lastTyped = -Infinity;
  show(moment);
  changed();
}

const undo = () => travel(past, future);
const redo = () => travel(future, past);

let saving = 0;
function save() {
  try {
    localStorage.setItem(draft, text.value);
  } catch {
    part("kept").textContent = "This browser keeps no draft for the page: save your text.";
  }
}

function restore() {
  try {
    return localStorage.getItem(draft) || "";
  } catch {
    return "";
  }
}

// What it thinks.

/** @type {{text: string, lengths: number[], bits: ArrayLike<number>}} */
let measured = { text: "", lengths: [], bits: [] };
let looking = 0;
let lookAgain = 0;

function look() {
  if (writing) return;
  cancel(looking);
  const value = text.value;
  const caret = text.selectionEnd;
  const after = colours.checked ? value.slice(caret) : null;
  const { job, answer } = ask("look", { before: value.slice(0, caret), after }, thoughts);
  looking = job;
  answer.then((whole) => {
    thoughts(whole);
    if (!whole.lengths || after === null || text.value !== value) return;
    measured = { text: value, lengths: whole.lengths, bits: whole.bits };
    paint();
  }, fail);
}

/** @param {{next?: [string, number][], unknown?: string[]}} seen */
function thoughts(seen) {
  if (!seen.next) return;
  rows.forEach((row, place) => {
    const [character, chance] = seen.next?.[place] ?? ["", 0];
    const [name, bar, percent] = row;
    name.textContent = NAMES[character] || character;
    name.classList.toggle("named", character in NAMES);
    bar.style.transform = `scaleX(${chance})`;
    percent.textContent = character ? `${(100 * chance).toFixed(chance < 0.1 ? 1 : 0)} %` : "";
  });
  const unknown = (seen.unknown || []).slice(0, 6).join(" ");
  if (unknown) say(`It passes over what it does not know: ${unknown}`);
  else if (passedOver) say("");
  passedOver = unknown;
}
let passedOver = "";

/** Colour the text by surprise, as far as it was measured. */
function paint() {
  const value = text.value;
  part("count").textContent = `${Array.from(value).length.toLocaleString("en")} characters`;
  const parts = [];
  let place = 0;
  if (colours.checked) {
    let level = -1;
    let start = 0;
    for (let k = 0; k < measured.lengths.length; k++) {
      const end = place + measured.lengths[k];
      // Where the text was changed, and after it, the colours do not hold.
      if (end > value.length || value.slice(place, end) !== measured.text.slice(place, end)) break;
      const bits = measured.bits[k];
      const here = Number.isNaN(bits) ? 0 : Math.min(9, Math.floor(bits));
      if (here !== level) {
        if (place > start) parts.push(piece(value.slice(start, place), level));
        level = here;
        start = place;
      }
      place = end;
    }
    if (place > start) parts.push(piece(value.slice(start, place), level));
  }
  // A line of its own follows a newline only if something stands in it.
  mirror.replaceChildren(...parts, `${value.slice(place)}\u200b`);
}

/**
 * @param {string} content
 * @param {number} level
 */
function piece(content, level) {
  const made = document.createElement("span");
  made.className = `s${level}`;
  made.textContent = content;
  return made;
}

function makeRow() {
  const row = document.createElement("li");
  const made = ["name", "bar", "chance"].map((name) => {
    const cell = document.createElement("span");
    cell.className = name;
    return cell;
  });
  const track = document.createElement("span");
  track.className = "track";
  track.append(made[1]);
  row.append(made[0], track, made[2]);
  part("bars").append(row);
  return made;
}
const rows = Array.from({ length: ROWS }, makeRow);

// Continuations.

/** @type {string[]} */
let offered = [];
let offering = 0;
let writing = 0;

function offerNothing() {
  cancel(offering);
  offering = 0;
  if (choices.some((choice) => choice === document.activeElement)) text.focus();
  offered = [];
  choices.forEach((choice) => {
    choice.textContent = "";
    choice.disabled = true;
  });
}

/** @param {string[]} texts */
function offer(texts) {
  offered = texts;
  choices.forEach((choice, place) => {
    const shown = (texts[place] || "").replace(/^\n+|\n+$/g, (ends) => "↵".repeat(ends.length));
    if (choice.textContent !== shown) choice.textContent = shown;
  });
}

/** The seed in the field; each use adds 1, so that the next text is another one. */
function takeSeed() {
  const value = Math.min(Math.max(0, Math.floor(Number(seed.value) || 0)), 2 ** 52);
  seed.value = String(value + 1);
  return value;
}

function settings() {
  return { before: text.value.slice(0, text.selectionEnd), temperature: Number(slider.value), seed: takeSeed() };
}

function offerThree() {
  stopWriting();
  offerNothing();
  now = { text: text.value, caret: text.selectionEnd }; // selectionchange may come later
  say("Writing three continuations …");
  const values = { ...settings(), unit: unit.value, count: choices.length };
  const { job, answer } = ask("offer", values, ({ texts }) => job === offering && offer(texts));
  offering = job;
  answer.then(({ texts }) => {
    if (job !== offering) return;
    offering = 0;
    offer(texts);
    choices.forEach((choice, place) => (choice.disabled = place >= texts.length));
    say(texts.length > 1 ? "Choose one, or ask for another three." : "It is sure: there is only this one.");
    if (document.activeElement === text && offerByKey) choices[0].focus();
    offerByKey = false;
  }, fail);
}
let offerByKey = false;

/** @param {number} place */
function take(place) {
  const chosen = offered[place];
  if (chosen === undefined) return;
  remember();
  insert(now, chosen);
  lastTyped = -Infinity;
  text.focus({ preventScroll: true });
  changed();
}

/**
 * Put a continuation where the cursor was.
 * @param {Moment} moment before it
 * @param {string} more
 */
function insert(moment, more) {
  const { text: before, caret } = moment;
  show({
    text: before.slice(0, caret) + more + before.slice(caret),
    caret: caret + more.length,
  });
}

function writeOn() {
  if (writing) {
    stopWriting();
    return;
  }
  offerNothing();
  cancel(looking);
  now = { text: text.value, caret: text.selectionEnd };
  const start = now;
  remember();
  const { job, answer } = ask("writeOn", settings(), ({ texts }) => job === writing && insert(start, texts[0]));
  writing = job;
  text.readOnly = true;
  part("write").textContent = "Stop";
  part("write").setAttribute("aria-pressed", "true");
  say("It writes until you stop it.");
  answer.catch(fail);
}

function stopWriting() {
  if (!writing) return;
  cancel(writing);
  writing = 0;
  text.readOnly = false;
  part("write").textContent = "Write on";
  part("write").setAttribute("aria-pressed", "false");
  say("");
  changed();
}

// What a person does.

text.addEventListener("input", () => {
  const time = performance.now();
  if (time - lastTyped > BURST) remember();
  lastTyped = time;
  future = [];
  now = { text: text.value, caret: text.selectionEnd };
  paint();
  changed();
});
text.addEventListener("beforeinput", (event) => {
  if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return;
  event.preventDefault();
  if (event.inputType === "historyUndo") undo();
  else redo();
});
// The cursor moved: it is where continuations go, and what the bars are about.
document.addEventListener("selectionchange", () => {
  if (document.activeElement !== text || writing || text.selectionEnd === now.caret) return;
  if (text.value !== now.text) return; // an input event follows
  now = { text: text.value, caret: text.selectionEnd };
  offerNothing();
  clearTimeout(lookAgain);
  lookAgain = setTimeout(look, 60);
});

document.addEventListener("keydown", (event) => {
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === "Enter") {
    event.preventDefault();
    if (event.shiftKey) {
      writeOn();
    } else {
      text.focus();
      offerByKey = true;
      offerThree();
    }
  } else if (event.key === "Escape") {
    if (writing) stopWriting();
    else if (event.target !== text) text.focus();
  } else if (command && event.target === text && /^[zy]$/i.test(event.key)) {
    event.preventDefault();
    if (event.key.toLowerCase() === "y" || event.shiftKey) redo();
    else undo();
  } else if (/^Arrow(Up|Down)$/.test(event.key)) {
    const place = choices.findIndex((choice) => choice === event.target);
    if (place < 0) return;
    event.preventDefault();
    choices[place + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
  }
});

part("offer").addEventListener("click", offerThree);
part("write").addEventListener("click", writeOn);
part("undo").addEventListener("click", undo);
part("redo").addEventListener("click", redo);
choices.forEach((choice, place) => choice.addEventListener("click", () => take(place)));

part("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(text.value);
  } catch {
    text.select();
    document.execCommand("copy");
  }
  say("Copied.");
});

part("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text.value], { type: "text/plain" }));
  link.download = `${model.name}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
  say("Saved as a text file.");
});

function describeTemperature() {
  const value = Number(slider.value);
  const boldness = TEMPERATURES.find(([limit]) => value <= limit)?.[1] || "";
  part("boldness").textContent = boldness;
  slider.setAttribute("aria-valuetext", `${boldness}, temperature ${value}`);
  part("degrees").textContent = value.toFixed(2);
}
slider.addEventListener("input", describeTemperature);

unit.addEventListener("change", () => {
  part("choices").dataset.unit = unit.value;
  offerNothing();
});

colours.addEventListener("change", () => {
  document.body.classList.toggle("coloured", colours.checked);
  paint();
  look();
});

window.addEventListener("pagehide", save);

// For people who build on the page.

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} most
 */
function whole(value, name, most) {
  if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= most) return Number(value);
  throw new RangeError(`${name} must be a whole number from 0 to ${most}, not ${String(value)}.`);
}

/** @param {unknown} value */
function warmth(value) {
  if (typeof value === "number" && value >= 0 && value <= 100) return value;
  throw new RangeError(`temperature must be a number from 0 to 100, not ${String(value)}.`);
}

const api = {
  /**
   * Write a text that continues the prompt.
   * @param {{prompt?: string, length?: number, temperature?: number, seed?: number}} [options]
   * @returns {Promise<string>} without the prompt
   */
  async generate({ prompt = "", length = 300, temperature = model.temperature, seed = 0 } = {}) {
    const values = {
      prompt: String(prompt),
      length: whole(length, "length", 1e6),
      temperature: warmth(temperature),
      seed: whole(seed, "seed", Number.MAX_SAFE_INTEGER),
    };
    return (await ask("generate", values).answer).texts[0];
  },
  /**
   * How likely each character of the vocabulary comes next.
   * @param {string} prompt
   * @returns {Promise<[string, number][]>} characters and probabilities, likeliest first
   */
  async next(prompt = "") {
    return (await ask("next", { prompt: String(prompt) }).answer).next;
  },
};
Object.assign(window, { textgen: Object.freeze(api) });

/** @type {Worker} */
let worker;
function begin() {
  const value = restore();
  seed.value = String(Math.floor(1e6 * Math.random()));
  slider.value = String(model.temperature);
  describeTemperature();
  show({ text: value, caret: value.length });
  sheet.scrollTop = sheet.scrollHeight;
  part("undo").setAttribute("disabled", "");
  part("redo").setAttribute("disabled", "");
  offerNothing();
  try {
    worker = makeWorker();
  } catch {
    fail();
    return;
  }
  say("");
  ask("open", { model, weights: part("weights").textContent }).answer.then(() => {
    document.body.dataset.ready = String(Math.round(performance.now()));
    part("weights").remove();
  }, fail);
  look();
}
begin();
