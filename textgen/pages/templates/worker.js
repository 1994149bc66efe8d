// The worker's part of the page: it answers messages and stays open to new ones meanwhile.

// Milliseconds of work between two looks at what has come in.
const SLICE = 16;
const NEXT = 8;
// Another try for a continuation that equals one of the others.
const TRIES = 12;
// Items that are tried at most.
const ITEM_TRIES = 1000;

/** @type {Alphabet} */
let alphabet;
/** @type {Network} */
let network;
/** @type {Reader} */
let desk; // reads what stands on the desk
/** @type {Uint32Array} */
let known; // hashes of the items that the model learned
/** @type {Promise<void>} */
let deskIsFree = Promise.resolve();
/** @type {Set<number>} */
const stopped = new Set();
let sliceEnds = 0;

const channel = new MessageChannel();
/** @type {(() => void)[]} */
const waiting = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** Lets messages in when a slice of work is done. setTimeout would add 4 ms to each. */
async function breathe() {
  if (performance.now() < sliceEnds) return;
  await new Promise((resolve) => {
    waiting.push(() => resolve(undefined));
    channel.port2.postMessage(null);
  });
  sliceEnds = performance.now() + SLICE;
}

/**
 * Let a reader read a text.
 * @param {Reader} reader
 * @param {number[]} ids
 * @param {number} job which can be stopped
 */
async function read(reader, ids, job) {
  for (let place = reader.keep(ids); place < ids.length; place++) {
    if (stopped.has(job)) return;
    reader.push(ids[place]);
    await breathe();
  }
}

/**
 * Write continuations side by side until all are complete.
 * @param {number} job
 * @param {Continuation[]} growing
 * @param {(place: number) => Continuation | null} again another try, where two are equal
 * @param {boolean} report them as they grow
 */
async function write(job, growing, again = () => null, report = true) {
  let reported = report ? 0 : Infinity;
  while (!stopped.has(job) && growing.some((text) => !text.ended)) {
    growing.forEach((text, place) => {
      if (text.ended) return;
      text.step();
      if (!text.ended) return;
      const same = growing.some((other) => other !== text && other.ended && other.text === text.text);
      const next = same ? again(place) : null;
      if (next) growing[place] = next;
    });
    if (performance.now() - reported > 40) {
      postMessage({ job, texts: growing.map((text) => text.text) });
      reported = performance.now();
    }
    await breathe();
  }
  return growing.map((text) => text.text);
}

/**
 * The likeliest next characters.
 * @param {Float32Array} logits
 * @returns {[string, number][]}
 */
function ranked(logits) {
  const chances = probabilities(logits);
  const order = Array.from(chances.keys()).sort((a, b) => chances[b] - chances[a] || a - b);
  return order.map((id) => [alphabet.characters[id], chances[id]]);
}

/**
 * What each piece of the text cost, the latest first where that takes long.
 * @param {number} job
 * @param {Encoded} encoded
 */
async function measure(job, encoded) {
  const bits = new Float32Array(encoded.counts.length).fill(NaN);
  let end = desk.ids.length;
  let reported = performance.now();
  for (let piece = bits.length - 1; piece >= 0; piece--) {
    if (stopped.has(job)) break;
    const start = end - encoded.counts[piece];
    if (start < end) bits[piece] = 0;
    for (let place = start; place < end; place++) bits[piece] += desk.costAt(place);
    end = start;
    if (performance.now() - reported > 300) {
      postMessage({ job, bits: bits.slice() });
      reported = performance.now();
    }
    await breathe();
  }
  return bits;
}

/** @param {string} encoded in base64 */
function bytesOf(encoded) {
  const text = atob(encoded);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes;
}

/**
 * Write an item of a list.
 * @param {number} job
 * @param {Continuation} text
 * @returns {Promise<string | null>} without its newline; null where it has no end, or is blank
 */
async function item(job, text) {
  while (!text.ended && !text.text.endsWith("\n") && !stopped.has(job)) {
    text.step();
    await breathe();
  }
  return text.text.endsWith("\n") && text.text.trim() ? text.text.slice(0, -1) : null;
}

/** @type {Record<string, (message: any) => any>} */
const JOBS = {
  open(message) {
    alphabet = new Alphabet(message.model);
    network = new Network(message.model, bytesOf(message.weights));
    known = new Uint32Array(bytesOf(message.known).buffer);
    desk = new Reader(network);
    return {};
  },

  /** What the model thinks: at the cursor, and of the whole text where its colours are shown. */
  look: alone(async ({ job, before, after }) => {
    const encoded = alphabet.encode(before);
    await read(desk, alphabet.prompt(encoded.ids), job);
    if (stopped.has(job)) return {};
    const next = ranked(desk.logits()).slice(0, NEXT);
    const made = { next, unknown: encoded.unknown, lengths: [0], bits: new Float32Array(0) };
    if (after === null) return made;
    postMessage({ job, next, unknown: encoded.unknown });
    const whole = alphabet.encode(before + after);
    await read(desk, alphabet.prompt(whole.ids), job);
    return { ...made, lengths: whole.lengths, bits: await measure(job, whole) };
  }),

  /** Three continuations, or whatever number. */
  offer: alone(async ({ job, before, temperature, seed, unit, count }) => {
    await read(desk, alphabet.prompt(alphabet.encode(before).ids), job);
    let tries = 0;
    /** @param {number} index */
    const begin = (index) =>
      new Continuation(alphabet, desk.fork(), temperature, randomNumbers(seed, index), unit, 0);
    const growing = Array.from({ length: count }, (_, index) => begin(index));
    const texts = await write(job, growing, () =>
      tries < TRIES ? begin(count + tries++) : null,
    );
    return { texts: texts.filter((text, place) => texts.indexOf(text) === place) };
  }),

  /** One text without an end. The desk reads it as it is written. */
  writeOn: alone(async ({ job, before, temperature, seed }) => {
    await read(desk, alphabet.prompt(alphabet.encode(before).ids), job);
    const random = randomNumbers(seed, 0);
    const text = new Continuation(alphabet, desk, temperature, random, "", Infinity);
    return { texts: await write(job, [text]) };
  }),

  /**
   * Items that are neither in the list nor on the desk. Each comes after the end of the list, as
   * on the command line, and begins with what stands before the cursor in its line.
   */
  items: alone(async ({ job, before, temperature, seed, count }) => {
    const onDesk = before.split("\n");
    const begin = onDesk.pop() ?? "";
    const start = new Reader(network);
    await read(start, [...alphabet.before, ...alphabet.encode(begin).ids], job);
    const had = new Set(onDesk);
    /** @type {string[]} */
    const found = [];
    const left = { listed: 0, repeated: 0 };
    const text = () => found.map((end) => `${end}\n`).join(begin);
    for (let index = 0; index < ITEM_TRIES && found.length < count && !stopped.has(job); index++) {
      const random = randomNumbers(seed, index);
      const most = alphabet.model.most.item;
      const end = await item(job, new Continuation(alphabet, start.fork(), temperature, random, "", most));
      if (end === null) continue;
      const whole = begin + end;
      if (among(known, hashOf(new TextEncoder().encode(whole)))) left.listed++;
      else if (had.has(whole)) left.repeated++;
      else {
        had.add(whole);
        found.push(end);
        postMessage({ job, texts: [text()] });
      }
    }
    return { texts: [text()], found: found.length, ...left };
  }),

  async generate({ job, prompt, length, temperature, seed }) {
    const reader = new Reader(network);
    await read(reader, alphabet.prompt(alphabet.encode(prompt).ids), job);
    const random = randomNumbers(seed, 0);
    const text = new Continuation(alphabet, reader, temperature, random, "", length);
    return { texts: await write(job, [text], undefined, false) };
  },

  async next({ job, prompt }) {
    const reader = new Reader(network);
    await read(reader, alphabet.prompt(alphabet.encode(prompt).ids), job);
    return { next: ranked(reader.logits()) };
  },
};

/**
 * A job that needs the desk to itself: it waits for the one before.
 * @param {(message: any) => Promise<any>} work
 */
function alone(work) {
  return (/** @type {any} */ message) => {
    const done = deskIsFree.then(() => work(message));
    deskIsFree = done.then(
      () => {},
      () => {},
    );
    return done;
  };
}

onmessage = async ({ data }) => {
  if (data.type === "stop") {
    stopped.add(data.job);
    return;
  }
  try {
    postMessage({ job: data.job, done: true, ...(await JOBS[data.type](data)) });
  } catch (error) {
    postMessage({ job: data.job, done: true, error: String(error) });
  }
  stopped.delete(data.job);
};
