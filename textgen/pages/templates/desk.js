"use strict";
// The desk of a page that writes: what a person sees and does.

/**
 * A state of the desk, to come back to.
 * @typedef {object} Moment
 * @property {string} text
 * @property {number} caret
 * @property {string[]} [offered] continuations of the text before the caret
 */

const BURST = 1200; // milliseconds: typing with shorter pauses is undone in one step,
const PHRASE = 40; // characters, after which a word's end begins another step
const STEPS_KEPT = 300;
const NAMES = /** @type {Record<string, string>} */ ({ " ": "space", "\n": "new line", "\t": "tab" });
/** @type {[number, string][]} up to which temperature a word describes it */
const TEMPERATURES = [[0.45, "careful"], [0.7, "measured"], [0.95, "lively"], [1.2, "bold"], [9, "wild"]];

const text = /** @type {HTMLTextAreaElement} */ (part("text"));
const sheet = part("sheet");
const mirror = part("mirror");
const unit = /** @type {HTMLSelectElement} */ (part("unit"));
const slider = /** @type {HTMLInputElement} */ (part("temperature"));
const seed = /** @type {HTMLInputElement} */ (part("seed"));
const colours = /** @type {HTMLInputElement} */ (part("colours"));
const choices = /** @type {HTMLButtonElement[]} */ ([...part("choices").querySelectorAll("button")]);
const draft = `textgen:${model.hash}`;

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

/** What follows each change: of what was offered, only what belongs to the new moment holds. */
function changed() {
  part("undo").toggleAttribute("disabled", !past.length);
  part("redo").toggleAttribute("disabled", !future.length);
  clearTimeout(saving);
  saving = setTimeout(save, 300);
  offerNothing();
  if (now.offered) offer(now.offered);
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

/**
 * What the pieces of a text cost, by their lengths.
 * @typedef {{lengths: number[], bits: ArrayLike<number>}} Costs
 */
/** @type {{text: string} & Costs} */
let measured = { text: "", lengths: [], bits: [] };
const rows = [...part("bars").children].map((row) =>
  ["name", "bar", "chance"].map((name) => /** @type {HTMLElement} */ (row.querySelector(`.${name}`))),
);
let looking = 0;
let lookAgain = 0;

function look() {
  if (writing) return;
  cancel(looking);
  const value = text.value;
  const caret = text.selectionEnd;
  const after = colours.checked ? value.slice(caret) : null;
  /** @param {{next?: [string, number][], unknown?: string[], costs?: Costs}} seen */
  const see = ({ next, unknown, costs }) => {
    if (next) expect(next);
    if (unknown) passOver(unknown);
    if (!costs || text.value !== value) return;
    measured = { text: value, ...costs };
    paint();
  };
  const { job, answer } = ask("look", { before: value.slice(0, caret), after }, see);
  looking = job;
  answer.then(see, fail);
}

/** @param {[string, number][]} next the likeliest characters and their chances */
function expect(next) {
  rows.forEach((row, place) => {
    const [character, chance] = next[place] ?? ["", 0];
    const [name, bar, percent] = row;
    name.textContent = NAMES[character] || character;
    name.classList.toggle("named", character in NAMES);
    bar.style.transform = `scaleX(${chance})`;
    percent.textContent = character ? `${(100 * chance).toFixed(chance < 0.1 ? 1 : 0)} %` : "";
  });
}

let passedOver = "";
/** @param {string[]} unknown characters */
function passOver(unknown) {
  const shown = unknown.slice(0, 6).join(" ");
  if (shown !== passedOver) say(shown && `Unknown to it and passed over: ${shown}`);
  passedOver = shown;
}

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

// Continuations.

let offering = 0;
let writing = 0;
let offerByKey = false;
let touched = false; // last, rather than clicked or typed

function offerNothing() {
  cancel(offering);
  offering = 0;
  if (choices.some((choice) => choice === document.activeElement)) backToText();
  if (choices[0].childElementCount) say("");
  fill([], false);
}

/** The cursor goes back to the text, unless that opens the keyboard of a phone. */
function backToText() {
  if (touched) /** @type {HTMLElement} */ (document.activeElement)?.blur();
  else text.focus({ preventScroll: true });
}

/**
 * Show continuations; where they end within a line, and which word they go on with.
 * @param {string[]} texts
 * @param {boolean} complete they are, and may be taken
 */
function fill(texts, complete) {
  const stem = /[\p{L}\p{N}\p{M}'’-]{0,40}$/u.exec(now.text.slice(0, now.caret))?.[0] ?? "";
  choices.forEach((choice, place) => {
    const content = texts[place] ?? "";
    choice.disabled = !complete || !content;
    if (!content) {
      choice.replaceChildren();
      return;
    }
    const shown = document.createElement("span");
    shown.textContent = content.replace(/^ +(?=\S)/, "").replace(/^\n+|\n+$/g, (ends) => "↵".repeat(ends.length));
    shown.dataset.stem = /^[\p{L}\p{N}\p{M}'’-]/u.test(content) ? stem : "";
    choice.replaceChildren(shown);
  });
}

/** @param {string[]} texts complete ones */
function offer(texts) {
  fill(texts, true);
  say(texts.length > 1 ? "Choose one, or ask for another three." : "It is sure: there is only this one.");
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
  cancel(looking); // it would come first, and colouring a long text takes long
  now = { text: text.value, caret: text.selectionEnd }; // selectionchange may come later
  say("Writing three continuations …");
  const values = { ...settings(), unit: unit.value, count: choices.length };
  const { job, answer } = ask("offer", values, ({ texts }) => job === offering && fill(texts, false));
  offering = job;
  answer.then(({ texts }) => {
    if (job !== offering) return;
    offering = 0;
    now.offered = texts;
    offer(texts);
    if (document.activeElement === text && offerByKey) choices[0].focus();
    offerByKey = false;
    look();
  }, fail);
}

/** @param {number} place */
function take(place) {
  const chosen = now.offered?.[place];
  if (chosen === undefined) return;
  remember();
  insert(now, chosen);
  lastTyped = -Infinity;
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

/**
 * Let the model write until it has done or is stopped.
 * @param {string} type of the job
 * @param {object} values
 * @param {string} message
 * @param {(whole: any) => string} done says what was written
 */
function write(type, values, message, done) {
  if (writing) {
    stopWriting();
    return;
  }
  offerNothing();
  cancel(looking);
  now = { text: text.value, caret: text.selectionEnd };
  const start = now;
  remember();
  const { job, answer } = ask(type, { ...settings(), ...values }, ({ texts }) => job === writing && insert(start, texts[0]));
  writing = job;
  text.readOnly = true;
  part("write").textContent = "Stop";
  say(message);
  answer.then((whole) => {
    if (job !== writing) return;
    stopWriting();
    say(done(whole));
  }, fail);
}

const writeOn = () => write("writeOn", {}, "It writes until you stop it.", () => "");
const writeItems = () => write("items", { count: 10 }, "Looking for ten new items …", newItems);

/** @param {{found: number, listed: number, repeated: number}} whole */
function newItems({ found, listed, repeated }) {
  const left = [];
  if (listed) left.push(`${listed} from its list`);
  if (repeated) left.push(`${repeated} repeated`);
  const said = `${found} new item${found === 1 ? "" : "s"}.`;
  return said + (left.length ? ` Left out: ${left.join(", ")}.` : "");
}

function stopWriting() {
  if (!writing) return;
  cancel(writing);
  writing = 0;
  text.readOnly = false;
  part("write").textContent = "Write on";
  say("Stopped.");
  if (past[past.length - 1]?.text === now.text) past.pop(); // nothing came
  changed();
}

// What a person does.

text.addEventListener("input", () => {
  const time = performance.now();
  const typed = text.value.length - (past[past.length - 1]?.text.length ?? 0);
  const phrase = Math.abs(typed) > PHRASE && /\s/.test(text.value[text.selectionEnd - 1]);
  if (phrase || time - lastTyped > BURST) remember();
  lastTyped = time;
  future = [];
  now = { text: text.value, caret: text.selectionEnd };
  paint();
  if (now.caret === now.text.length) sheet.scrollTop = sheet.scrollHeight;
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

document.addEventListener("pointerdown", (event) => (touched = event.pointerType === "touch"));
document.addEventListener("keydown", (event) => {
  touched = false;
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
  } else if (command && event.target !== seed && /^[zy]$/i.test(event.key)) {
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
part("items")?.addEventListener("click", writeItems);
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
  link.href = URL.createObjectURL(new Blob([text.value], { type: "text/plain;charset=utf-8" }));
  link.download = `${model.name}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // Safari reads it later
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
  paint();
  look();
});

window.addEventListener("pagehide", save);

function begin() {
  const value = restore();
  seed.value = String(Math.floor(1e6 * Math.random()));
  slider.value = String(model.temperature);
  describeTemperature();
  show({ text: value, caret: value.length });
  sheet.scrollTop = sheet.scrollHeight;
  worker = makeWorker();
  say("");
  const [weights, known] = [part("weights"), part("known")]; // the second of a list only
  const values = { model, weights: weights.textContent, known: known?.textContent ?? "" };
  ask("open", values).answer.then(() => {
    document.body.dataset.ready = String(Math.round(performance.now()));
    weights.remove();
    known?.remove();
  }, fail);
  look();
}

try {
  begin();
} catch {
  fail();
}
