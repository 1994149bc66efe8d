// The worker's part of the page: it answers messages and stays open to new ones meanwhile.

// Milliseconds of work between two looks at what has come in.
const SLICE = 16;
const NEXT = 8;
// Of a longer text that has not been read yet, only the end is read before an answer.
const FAR = 500;
// Milliseconds between two reports on the colours of a text.
const PATIENCE = 300;
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
/** @type {Reader | null} */
let near = null; // reads what stands on the desk from a place on,
let nearStart = 0; // this one
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
 * A reader that has read a text, or of a long one at least the end.
 * @param {number[]} ids
 * @param {number} job which can be stopped
 */
async function readerOf(ids, job) {
  const unread = ids.length - desk.same(ids);
  if (unread === 0 && ids.length < desk.ids.length) return desk.fork(ids.length);
  if (unread <= FAR || desk.windowed) {
    await read(desk, ids, job);
    return desk;
  }
  const end = ids.slice(nearStart);
  if (!near || end.length < FAR || end.length - near.same(end) > FAR) {
    nearStart = ids.length - FAR;
    near = new Reader(network);
  }
  await read(near, ids.slice(nearStart), job);
  return near;
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
 * Read a text to find what each piece of it costs; reports on that meanwhile.
 * @param {number} job
 * @param {Encoded} encoded
 */
async function measure(job, encoded) {
  const ids = alphabet.onDesk(encoded.ids);
  const first = ids.length - encoded.ids.length; // after what is read before the text
  const found = () => {
    let place = first;
    const bits = Float32Array.from(encoded.counts, (count) => {
      let sum = count ? 0 : NaN;
      for (let k = 0; k < count; k++) sum += desk.bits[place++] ?? NaN;
      return sum;
    });
    return { lengths: encoded.lengths, bits };
  };
  let reported = performance.now();
  const goOn = async () => {
    if (performance.now() - reported > PATIENCE) {
      postMessage({ job, costs: found() });
      reported = performance.now();
    }
    await breathe();
    return !stopped.has(job);
  };
  for (let place = desk.keep(ids); place < ids.length && (await goOn()); place++) desk.push(ids[place]);
  if (desk.windowed) {
    // The latest first: each costs a whole window.
    for (let place = ids.length - 1; place >= first && (await goOn()); place--) desk.costAt(place);
  }
  return found();
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
    const reader = await readerOf(alphabet.onDesk(encoded.ids), job);
    if (stopped.has(job)) return {};
    const seen = { next: ranked(reader.logits()).slice(0, NEXT), unknown: encoded.unknown };
    if (after === null) return seen;
    postMessage({ job, ...seen });
    return { costs: await measure(job, alphabet.encode(before + after)) };
  }),

  /** Three continuations, or whatever number. */
  offer: alone(async ({ job, before, temperature, seed, unit, count }) => {
    const reader = await readerOf(alphabet.onDesk(alphabet.encode(before).ids), job);
    let tries = 0;
    /** @param {number} index */
    const begin = (index) =>
      new Continuation(alphabet, reader.fork(), temperature, randomNumbers(seed, index), unit, 0);
    const growing = Array.from({ length: count }, (_, index) => begin(index));
    const texts = await write(job, growing, () =>
      tries < TRIES ? begin(count + tries++) : null,
    );
    return { texts: texts.filter((text, place) => texts.indexOf(text) === place) };
  }),

  /** One text without an end. The desk has read what was written. */
  writeOn: alone(async ({ job, before, temperature, seed }) => {
    const reader = await readerOf(alphabet.onDesk(alphabet.encode(before).ids), job);
    const random = randomNumbers(seed, 0);
    const text = new Continuation(alphabet, reader, temperature, random, "", Infinity);
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
    await read(start, alphabet.onDesk(alphabet.encode(begin).ids), job);
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
