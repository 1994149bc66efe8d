"use strict";
// The model in plain JavaScript: reading a text, and choosing what comes next. No DOM: this
// part runs in a worker and in Node. Weights are stored as textgen/pages/quantize.py packs them.

/** @typedef {{cell: string, units: number[], seq_length: number, targets: string}} Config */
/** @typedef {{lowercase: boolean, normalize: string, ascii: boolean}} Cleaning */
/**
 * Where sentences end: as textgen/generation/units.py says.
 * @typedef {{marks: string, wide_marks: string, closers: string, abbreviations: string[]}} Sentences
 */
/**
 * What the page says of its model.
 * @typedef {object} Model
 * @property {Config} config
 * @property {number[]} characters code points, by id
 * @property {Cleaning} cleaning
 * @property {Record<string, string>} typewriter ASCII for typographic characters
 * @property {Record<string, string>} relatives what it knows in place of a character
 * @property {Record<string, string>} opening the same for straight quotes that open
 * @property {string} default_prompt what it reads before an empty text
 * @property {number} bits of a weight: 8 or 16
 * @property {Sentences} sentences
 * @property {Record<string, number>} most characters of a unit
 */
/**
 * A layer. Matrices are (columns, inputs), so that a product runs along the memory.
 * @typedef {object} Layer
 * @property {number} units
 * @property {Float32Array} kernel of the first layer: (inputs, columns) with the bias added
 * @property {Float32Array} recurrent
 * @property {Float32Array} bias
 * @property {Float32Array} inside GRU's recurrent bias
 */
/** @typedef {{h: Float32Array, c: Float32Array}} LayerState c is used by LSTM only */
/** @typedef {{ids: number[], lengths: number[], counts: number[], unknown: string[]}} Encoded */

const GATES = /** @type {Record<string, number>} */ ({ lstm: 4, gru: 3, rnn: 1 });
// Characters from one kept state of a text to the next.
const KEPT = 128;

/**
 * A float16 as a number.
 * @param {number} half its 16 bits
 */
function fromHalf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  // Weights are finite, so exponent 31 does not occur.
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
}

/** Takes weights off packed bytes, one after the other. */
class Unpacker {
  /**
   * @param {Uint8Array} bytes
   * @param {number} bits of a weight
   */
  constructor(bytes, bits) {
    this.bytes = bytes;
    this.bits = bits;
    this.place = 0;
  }

  /** @param {number} size in bytes */
  take(size) {
    this.place += size;
    return this.bytes.slice(this.place - size, this.place).buffer;
  }

  /** @param {number} count */
  floats(count) {
    return new Float32Array(this.take(4 * count));
  }

  /**
   * @param {number} columns
   * @param {number} inputs
   * @returns {Float32Array} (columns, inputs)
   */
  matrix(columns, inputs) {
    const count = columns * inputs;
    if (this.bits === 16) return Float32Array.from(new Uint16Array(this.take(2 * count)), fromHalf);
    const scales = this.floats(columns);
    const whole = new Int8Array(this.take(count));
    const made = new Float32Array(count);
    for (let column = 0, k = 0; column < columns; column++) {
      const scale = scales[column];
      for (let input = 0; input < inputs; input++, k++) made[k] = whole[k] * scale;
    }
    return made;
  }
}

/**
 * Add a product: out[r] += sum over i of matrix[r, i] * vector[i].
 * @param {Float32Array} matrix (rows, vector's length)
 * @param {Float32Array} vector
 * @param {Float32Array} out (rows)
 */
function addProduct(matrix, vector, out) {
  const n = vector.length;
  const rows = out.length;
  let row = 0;
  // Four rows at once: they share each element of the vector, and do not wait for each other.
  for (; row + 3 < rows; row += 4) {
    const a = row * n;
    const b = a + n;
    const c = b + n;
    const d = c + n;
    let p = 0;
    let q = 0;
    let r = 0;
    let s = 0;
    for (let i = 0; i < n; i++) {
      const x = vector[i];
      p += matrix[a + i] * x;
      q += matrix[b + i] * x;
      r += matrix[c + i] * x;
      s += matrix[d + i] * x;
    }
    out[row] += p;
    out[row + 1] += q;
    out[row + 2] += r;
    out[row + 3] += s;
  }
  for (; row < rows; row++) {
    let p = 0;
    for (let i = 0; i < n; i++) p += matrix[row * n + i] * vector[i];
    out[row] += p;
  }
}

/** @param {number} x */
function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/**
 * Advance a layer by one character.
 * @typedef {(layer: Layer, state: LayerState, x: Float32Array, z: Float32Array) => void} Step
 */
/** @type {Record<string, Step>} Each takes the input's projection x and a work buffer z. */
const STEPS = {
  // Gates in Keras's order: i, f, c, o.
  lstm(layer, state, x, z) {
    const n = layer.units;
    const { h, c } = state;
    z.set(x);
    addProduct(layer.recurrent, h, z);
    for (let k = 0; k < n; k++) {
      c[k] = sigmoid(z[n + k]) * c[k] + sigmoid(z[k]) * Math.tanh(z[2 * n + k]);
      h[k] = sigmoid(z[3 * n + k]) * Math.tanh(c[k]);
    }
  },
  // Gates z, r, h; the reset gate comes after the recurrent product (`reset_after`).
  gru(layer, state, x, z) {
    const n = layer.units;
    const { h } = state;
    z.set(layer.inside);
    addProduct(layer.recurrent, h, z);
    for (let k = 0; k < n; k++) {
      const update = sigmoid(x[k] + z[k]);
      const reset = sigmoid(x[n + k] + z[n + k]);
      const candidate = Math.tanh(x[2 * n + k] + reset * z[2 * n + k]);
      h[k] = update * h[k] + (1 - update) * candidate;
    }
  },
  rnn(layer, state, x, z) {
    z.set(x);
    addProduct(layer.recurrent, state.h, z);
    for (let k = 0; k < layer.units; k++) state.h[k] = Math.tanh(z[k]);
  },
};

/** A trained model: reads one character at a time. */
class Network {
  /**
   * @param {Model} model
   * @param {Uint8Array} bytes the packed weights
   */
  constructor(model, bytes) {
    const { cell, units } = model.config;
    const unpacker = new Unpacker(bytes, model.bits);
    this.config = model.config;
    this.size = model.characters.length;
    this.advance = STEPS[cell];
    /** @type {Layer[]} */
    this.layers = [];
    let inputs = this.size;
    for (const width of units) {
      const columns = GATES[cell] * width;
      const kernel = unpacker.matrix(columns, inputs);
      const recurrent = unpacker.matrix(columns, width);
      const bias = unpacker.floats(columns);
      const inside = cell === "gru" ? unpacker.floats(columns) : new Float32Array(0);
      this.layers.push({ units: width, kernel, recurrent, bias, inside });
      inputs = width;
    }
    this.layers[0].kernel = this.table(this.layers[0]);
    this.logitsKernel = unpacker.matrix(this.size, inputs);
    this.logitsBias = unpacker.floats(this.size);
    this.projections = this.layers.map((layer) => new Float32Array(layer.bias.length));
    this.buffers = this.layers.map((layer) => new Float32Array(layer.bias.length));
  }

  /**
   * The first kernel with its bias, a row for each character: a one-hot input picks a row.
   * @param {Layer} layer
   */
  table(layer) {
    const columns = layer.bias.length;
    const made = new Float32Array(this.size * columns);
    for (let column = 0; column < columns; column++) {
      for (let id = 0; id < this.size; id++) {
        made[id * columns + column] = layer.kernel[column * this.size + id] + layer.bias[column];
      }
    }
    return made;
  }

  /** @returns {LayerState[]} of a text of which nothing has been read */
  start() {
    return this.layers.map(({ units }) => ({
      h: new Float32Array(units),
      c: new Float32Array(units),
    }));
  }

  /**
   * Read one character.
   * @param {number} id
   * @param {LayerState[]} state updated in place
   */
  step(id, state) {
    this.layers.forEach((layer, k) => {
      const columns = layer.bias.length;
      /** @type {Float32Array} */
      let x = this.projections[k];
      if (k === 0) {
        x = layer.kernel.subarray(id * columns, (id + 1) * columns);
      } else {
        x.set(layer.bias);
        addProduct(layer.kernel, state[k - 1].h, x);
      }
      this.advance(layer, state[k], x, this.buffers[k]);
    });
  }

  /**
   * The scores of the next characters.
   * @param {LayerState[]} state
   */
  logits(state) {
    const made = this.logitsBias.slice();
    addProduct(this.logitsKernel, state[state.length - 1].h, made);
    return made;
  }
}

/** @param {LayerState[]} state */
function copyState(state) {
  return state.map(({ h, c }) => ({ h: h.slice(), c: c.slice() }));
}

/** A text that the model reads: it grows at its end, and is cut back where it was changed. */
class Reader {
  /** @param {Network} network */
  constructor(network) {
    this.network = network;
    this.windowed = network.config.targets === "last";
    /** @type {number[]} */
    this.ids = [];
    /** @type {number[]} what each character cost, in bits; NaN where that is not known */
    this.bits = [];
    this.state = network.start();
    /** @type {LayerState[][]} after each KEPT characters */
    this.kept = [copyState(this.state)];
    /** @type {Float32Array | null} of the next character, once they are asked for */
    this.scores = null;
  }

  /**
   * How many characters of another text are read already.
   * @param {number[]} ids
   */
  same(ids) {
    let same = 0;
    while (same < ids.length && ids[same] === this.ids[same]) same++;
    return same;
  }

  /**
   * Forget what differs from another text.
   * @param {number[]} ids
   * @returns {number} how many of its characters need not be read any more
   */
  keep(ids) {
    const same = this.same(ids);
    if (same < this.ids.length) {
      const place = this.windowed ? same : KEPT * Math.floor(same / KEPT);
      this.kept.length = Math.floor(place / KEPT) + 1;
      if (!this.windowed) this.state = copyState(this.kept[this.kept.length - 1]);
      this.ids.length = place;
      this.bits.length = place;
      this.scores = null;
    }
    return this.ids.length;
  }

  /**
   * Read one character more.
   * @param {number} id
   */
  push(id) {
    if (this.windowed) {
      this.bits.push(NaN);
    } else {
      this.bits.push(this.ids.length ? cost(this.logits(), id) : NaN);
      this.network.step(id, this.state);
    }
    this.ids.push(id);
    this.scores = null;
    if (!this.windowed && this.ids.length % KEPT === 0) this.kept.push(copyState(this.state));
  }

  /** The scores of the next characters. */
  logits() {
    if (this.scores === null) {
      const state = this.windowed ? this.window(this.ids.length) : this.state;
      this.scores = this.network.logits(state);
    }
    return this.scores;
  }

  /**
   * The state after the window that ends before a place.
   * @param {number} end
   */
  window(end) {
    const state = this.network.start();
    for (let k = Math.max(0, end - this.network.config.seq_length); k < end; k++) {
      this.network.step(this.ids[k], state);
    }
    return state;
  }

  /**
   * What the character at a place cost, in bits. With windows each costs a whole window.
   * @param {number} place
   */
  costAt(place) {
    if (this.windowed && place > 0 && Number.isNaN(this.bits[place])) {
      this.bits[place] = cost(this.network.logits(this.window(place)), this.ids[place]);
    }
    return this.bits[place];
  }

  /**
   * Another reader of the same text or of its beginning, to read on only: it cannot go back.
   * @param {number} end
   */
  fork(end = this.ids.length) {
    const copy = new Reader(this.network);
    const whole = end === this.ids.length;
    const place = this.windowed || whole ? end : KEPT * Math.floor(end / KEPT);
    copy.ids = this.ids.slice(Math.max(0, place - (this.windowed ? this.network.config.seq_length : 1)), place);
    copy.bits = copy.ids.map(() => NaN);
    copy.state = copyState(whole || this.windowed ? this.state : this.kept[place / KEPT]);
    copy.scores = whole ? this.scores : null;
    for (const id of this.ids.slice(place, end)) copy.push(id);
    return copy;
  }
}

/**
 * -log2 of the probability of a character.
 * @param {Float32Array} logits
 * @param {number} id
 */
function cost(logits, id) {
  let top = -Infinity;
  for (const score of logits) if (score > top) top = score;
  let sum = 0;
  for (const score of logits) sum += Math.exp(score - top);
  return (Math.log(sum) + top - logits[id]) / Math.LN2;
}

/**
 * @param {Float32Array} logits
 * @returns {Float64Array} that add up to 1
 */
function probabilities(logits) {
  const top = logits.reduce((most, score) => Math.max(most, score), -Infinity);
  const made = Float64Array.from(logits, (score) => Math.exp(score - top));
  const sum = made.reduce((total, value) => total + value, 0);
  return made.map((value) => value / sum);
}

/**
 * Random numbers from 0 to below 1: sfc32 (Doty-Humphrey 2018), the same everywhere.
 * @param {number} seed
 * @param {number} index of the text among those with the same seed
 * @returns {() => number}
 */
function randomNumbers(seed, index) {
  let a = seed >>> 0;
  let b = Math.floor(seed / 2 ** 32) >>> 0;
  let c = index >>> 0;
  let counter = 1;
  function next() {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  }
  for (let k = 0; k < 15; k++) next(); // until the seed has reached every bit
  return () => (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
}

/**
 * Draw a character as textgen/generation/sampling.py does.
 * @param {Float32Array} logits
 * @param {number} temperature 0 takes the likeliest
 * @param {() => number} random
 * @returns {number} its id
 */
function choose(logits, temperature, random) {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  const draw = random();
  if (temperature <= 0) return best;
  const top = logits[best];
  const weights = Float64Array.from(logits, (score) => Math.exp((score - top) / temperature));
  let left = draw * weights.reduce((total, value) => total + value, 0);
  for (let id = 0; id < weights.length; id++) {
    left -= weights[id];
    if (left < 0) return id;
  }
  return best;
}

// What is cleaned together: a character with its accents; jamo, which join like accents; and a
// word with a capital sigma, whose small form depends on its place in the word.
const PIECE =
  /\r\n|[\p{L}\p{CI}]*Σ[\p{L}\p{CI}]*|[\u1100-\u11ff\uac00-\ud7a3]+|[^\p{M}]\p{M}*|\p{M}+/gsu;

/** Characters and their ids. */
class Alphabet {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.characters = model.characters.map((point) => String.fromCodePoint(point));
    this.ids = new Map(this.characters.map((character, id) => [character, id]));
    this.before = this.encode(model.default_prompt).ids;
  }

  /**
   * A piece of text, cleaned like the text that the model learned from.
   * @param {string} piece a character with its accents
   */
  clean(piece) {
    const { lowercase, normalize, ascii } = this.model.cleaning;
    const form = normalize === "nfkc" ? "NFKC" : "NFC";
    /** @param {string} text */
    const normalized = (text) => (normalize === "none" ? text : text.normalize(form));
    let text = normalized(piece.replace(/\r\n?/, "\n"));
    if (ascii) {
      /** @param {string} from */
      const typed = (from) =>
        Array.from(from, (character) => this.model.typewriter[character] ?? character).join("");
      text = typed(typed(text).normalize("NFKD")).replace(/[^\x00-\x7f]/g, "");
    }
    return lowercase ? normalized(text.toLowerCase()) : text;
  }

  /**
   * What the model knows in place of a character: itself, a relative, or nothing.
   * @param {string} character
   * @param {string} before what stands before it
   */
  known(character, before) {
    if (this.ids.has(character)) return character;
    const { relatives, opening } = this.model;
    const opens = `'"`.includes(character) && /[\s([{—]/u.test(before);
    const relative = opens ? opening[character] : relatives[character];
    const small = character.toLowerCase();
    return relative ?? (this.ids.has(small) ? small : null);
  }

  /**
   * Turn a text into ids. What the model does not know becomes a relative that it knows, such as a
   * small letter or a straight quote, or else is passed over.
   * @param {string} text
   * @returns {Encoded} the ids; the text's pieces by their lengths in UTF-16, and how many ids
   *   each has; and the unknown characters
   */
  encode(text) {
    /** @type {Encoded} */
    const made = { ids: [], lengths: [], counts: [], unknown: [] };
    let last = " ";
    for (const [piece] of text.matchAll(PIECE)) {
      const before = made.ids.length;
      for (const character of this.clean(piece)) {
        const known = this.known(character, last);
        if (known !== null) made.ids.push(...Array.from(known, (one) => Number(this.ids.get(one))));
        else if (!made.unknown.includes(character)) made.unknown.push(character);
        last = character;
      }
      made.lengths.push(piece.length);
      made.counts.push(made.ids.length - before);
    }
    return made;
  }

  /**
   * What the model reads for a text: the text, or what stands in for it or before it.
   * @param {number[]} ids
   * @returns {number[]}
   */
  prompt(ids) {
    if (this.model.config.targets === "every") return ids.length ? ids : this.before;
    const missing = Math.max(0, this.model.config.seq_length - ids.length);
    return missing ? [...this.before.slice(-missing), ...ids] : ids;
  }

  /**
   * The same for what stands on the desk: a line of a list comes after another.
   * @param {number[]} ids
   */
  onDesk(ids) {
    return this.model.most.item ? [...this.before, ...ids] : this.prompt(ids);
  }
}

// When a continuation is complete: after a text, and before the character that would come next.
// All but words end as in textgen/generation/units.py.
const WORD = /[\p{L}\p{N}\p{M}'’-]/u;
/** @type {Record<string, (text: string, next: string, rules: Sentences) => boolean>} */
const ENDS = {
  word: (text, next) => WORD.test(text) && !WORD.test(next),
  sentence(text, next, { marks, wide_marks, closers, abbreviations }) {
    let end = text.length;
    while (end && closers.includes(text[end - 1])) end--;
    const mark = text[end - 1];
    if (!/[\p{L}\p{N}]/u.test(text)) return false;
    if (wide_marks.includes(mark)) return !(closers + wide_marks).includes(next);
    if (!marks.includes(mark) || !/\s/u.test(next)) return false;
    if (mark !== ".") return true;
    const word = (/\S*$/u.exec(text.slice(0, end - 1)) ?? [""])[0].replace(/^[^\p{L}\p{N}]+/u, "");
    const initials = word !== "I" && /^\p{L}(\.\p{L})*$/u.test(word);
    return !initials && !abbreviations.includes(word.toLowerCase());
  },
  line: (text) => /\S.*\n$/su.test(text),
  paragraph: (text) => /\S.*\n\s*\n$/su.test(text),
};

/** A continuation in the making. */
class Continuation {
  /**
   * @param {Alphabet} alphabet
   * @param {Reader} reader has read the text before; it reads on
   * @param {number} temperature
   * @param {() => number} random
   * @param {string} unit a name in ENDS, or "" for no end
   * @param {number} most characters, where there is no unit
   */
  constructor(alphabet, reader, temperature, random, unit, most) {
    this.alphabet = alphabet;
    this.reader = reader;
    this.temperature = temperature;
    this.random = random;
    this.ends = ENDS[unit];
    this.left = alphabet.model.most[unit] ?? most;
    this.text = "";
    this.ended = this.left <= 0;
  }

  /** Write one character, unless the continuation is complete. */
  step() {
    const id = choose(this.reader.logits(), this.temperature, this.random);
    const character = this.alphabet.characters[id];
    if (this.ends && this.ends(this.text, character, this.alphabet.model.sentences)) {
      this.ended = true;
      return;
    }
    this.reader.push(id);
    this.text += character;
    this.left -= 1;
    this.ended = this.left <= 0;
  }
}

// Lists: which items the model learned, as textgen/text/items.py keeps them.

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  return rest;
});

/**
 * CRC-32 of an item, which stands for it.
 * @param {Uint8Array} bytes in UTF-8
 */
function hashOf(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = CRC[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/**
 * Whether a number is among sorted ones.
 * @param {Uint32Array} numbers
 * @param {number} wanted
 */
function among(numbers, wanted) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return numbers[low] === wanted;
}
