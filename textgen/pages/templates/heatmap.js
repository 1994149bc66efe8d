"use strict";
// Shows what the model expected at the character that is hovered, tapped, or reached by keys.
const NAMES = { " ": "space", "\n": "newline", "\t": "tab" };

function nameOf(character) {
  return NAMES[character] || character;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function guessRow(character, chance, right) {
  const row = element("li", right ? "right" : "");
  const track = element("span", "track");
  const bar = element("div", "bar");
  bar.style.width = `${100 * chance}%`;
  track.append(bar);
  const percent = chance >= 0.01 ? Math.round(100 * chance) : (100 * chance).toFixed(1);
  row.append(element("span", "", nameOf(character)), track, element("span", "chance", `${percent} %`));
  return row;
}

function describe(character, bits) {
  if (bits === null) return `${character}: nothing to go by yet`;
  if (bits === 21) return `${character}: unknown to the model, 21 bits`;
  const odds = Math.round(2 ** bits);
  return `${character}: ${bits.toFixed(1)} bits, one in ${odds.toLocaleString("en")}`;
}

function makeHeatmap(section) {
  const text = section.querySelector(".text");
  const panel = section.querySelector(".guesses");
  const data = JSON.parse(section.querySelector("script").textContent);
  const cells = Array.from(text.children);
  const places = new Map(cells.map((cell, place) => [cell, place]));
  let here = -1;

  function explain(place) {
    const character = cells[place].dataset.character || cells[place].textContent;
    const list = element("ol", "");
    data.guesses[place].forEach((guess, rank) => {
      const guessed = data.vocabulary[guess];
      list.append(guessRow(guessed, data.chances[place][rank], guessed === character));
    });
    const lines = [element("p", "", describe(nameOf(character), data.bits[place]))];
    if (data.activity.length && data.activity[place] !== null) {
      lines.push(element("p", "quiet", `neuron: ${data.activity[place].toFixed(2)}`));
    }
    if (list.children.length) lines.push(element("p", "quiet", "It expected:"), list);
    panel.replaceChildren(...lines);
  }

  function moveTo(place) {
    if (place < 0 || place >= cells.length) return;
    if (here >= 0) cells[here].classList.remove("here");
    here = place;
    cells[here].classList.add("here");
    explain(here);
  }

  // The nearest character in the next visible line, up or down.
  function beside(direction) {
    const from = cells[Math.max(here, 0)].getBoundingClientRect();
    let best = -1;
    let distance = Infinity;
    let line = null;
    for (let place = here + direction; cells[place]; place += direction) {
      const box = cells[place].getBoundingClientRect();
      if (direction * (box.top - from.top) < from.height / 2) continue;
      if (line === null) line = box.top;
      if (Math.abs(box.top - line) > from.height / 2) break;
      if (Math.abs(box.left - from.left) < distance) {
        distance = Math.abs(box.left - from.left);
        best = place;
      }
    }
    return best;
  }

  function nextSurprise(direction) {
    let place = here + direction;
    while (cells[place] && !(data.bits[place] >= 5)) place += direction;
    return place;
  }

  const KEYS = {
    ArrowRight: () => here + 1,
    ArrowLeft: () => here - 1,
    ArrowDown: () => beside(1),
    ArrowUp: () => beside(-1),
    Home: () => 0,
    End: () => cells.length - 1,
    n: () => nextSurprise(1),
    p: () => nextSurprise(-1),
  };
  text.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    moveTo(KEYS[event.key]());
    if (here >= 0) cells[here].scrollIntoView({ block: "nearest" });
  });
  text.addEventListener("focus", () => here < 0 && moveTo(0));
  text.addEventListener("click", (event) => {
    const place = places.get(event.target.closest("i"));
    if (place !== undefined) moveTo(place);
  });
  text.addEventListener("pointerover", (event) => {
    const place = places.get(event.target.closest("i"));
    if (event.pointerType === "mouse" && place !== undefined) explain(place);
  });
  text.addEventListener("pointerleave", () => here >= 0 && explain(here));
  section.classList.add("ready");
}

document.querySelectorAll(".heatmap.explained").forEach(makeHeatmap);
