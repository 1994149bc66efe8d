"use strict";
// The page's side of the model, which works in a worker made of the page's own text, so that the
// page never freezes and nothing is loaded; and what the page offers to other scripts.

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
function part(id) {
  return /** @type {T} */ (document.getElementById(id));
}

const model = JSON.parse(part("model").textContent || "");

/** @param {string} message */
function say(message) {
  if (part("status").textContent !== message) part("status").textContent = message;
}

// The worker and its jobs.

/** @type {Map<number, {progress: (part: any) => void, resolve: (whole: any) => void, reject: (error: Error) => void}>} */
const jobs = new Map();
let lastJob = 0;

/** @type {Worker} */
let worker;

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
