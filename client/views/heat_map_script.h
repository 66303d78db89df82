// The heat map's script: colours the visible part, shows a token's number, draws the map of the document.
#pragma once

#include <string_view>

namespace unroll {

/// A section's data-l: its tokens' lengths in UTF-16 units, a digit each (78: and the next digit, too).
/// data-n: their surprisals in hundredths of a bit, two digits to base 79 each. Digit 0 is the character '0'.
/// Places in the document are counted in UTF-16 units of all sections' text.
inline constexpr std::string_view kHeatMapScript = R"js(<script>
"use strict";
const query = selector => document.querySelector(selector);
const sections = [...document.querySelectorAll("section")];
const [main, map, canvas, view, tip] = ["main", "aside", "canvas", "aside div", "output"].map(query);
const begins = [];
let total = 0;
sections.forEach((section, i) => {
  section.number = i;
  begins.push(total);
  total += section.textContent.length;
});
const end = number => number + 1 < begins.length ? begins[number + 1] : total;

const tokens = section => {
  const lengths = [], bits = [], {l, n} = section.dataset;
  for (let i = 0, length = 0; i < l.length; ++i) {
    const digit = l.charCodeAt(i) - 48;
    length += digit;
    if (digit == 78) continue;
    lengths.push(length);
    length = 0;
  }
  for (let i = 0; i < n.length; i += 2)
    bits.push(((n.charCodeAt(i) - 48) * 79 + n.charCodeAt(i + 1) - 48) / 100);
  return {lengths, bits};
};

// --- Sections near the view are cut into tokens; the others are plain text, so that any book fits.
const paint = section => {
  if (section.bits) return;
  const {lengths, bits} = tokens(section), text = section.textContent, cut = document.createDocumentFragment();
  section.bits = bits;
  for (let i = 0, at = 0; i < bits.length; at += lengths[i++]) {
    const token = document.createElement("i");
    token.textContent = text.substr(at, lengths[i]);
    const level = Math.min(8, Math.floor(bits[i] / 2 - 1));
    if (level > 0) token.className = "c" + level;
    cut.append(token);
  }
  section.replaceChildren(cut);
};
const near = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => {
  if (isIntersecting) return paint(target);
  if (!target.bits || chosen && chosen.parentNode == target) return;
  target.bits = null;
  target.textContent = target.textContent;
}), {rootMargin: "2000px"});
sections.forEach(section => near.observe(section));

// --- What a token's number is: for the mouse, and for the keys
let chosen = null;
const compact = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 2});
const tell = token => {
  const bits = token.parentNode.bits[[...token.parentNode.children].indexOf(token)];
  const text = document.createElement("b");
  text.textContent = token.textContent.replace(/\n/g, "\u21B5").replace(/\t/g, "\u21E5").replace(/ /g, "\u2423");
  tip.replaceChildren(text, ` ${bits.toFixed(1)} bits: 1 in ${compact.format(2 ** bits)}`);
  tip.hidden = false;
  const box = token.getClientRects()[0] || token.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(box.left, innerWidth - map.offsetWidth - tip.offsetWidth - 8)) + "px";
  const below = box.bottom + 6;
  tip.style.top = (below + tip.offsetHeight < innerHeight ? below : box.top - tip.offsetHeight - 6) + "px";
};
const choose = token => {
  if (chosen) chosen.classList.remove("on");
  chosen = token;
  if (!token) return void (tip.hidden = true);
  token.classList.add("on");
  tell(token);
};
main.addEventListener("pointerover", event => {
  if (event.target.tagName == "I") tell(event.target);
});
main.addEventListener("pointerout", () => chosen && chosen.isConnected ? tell(chosen) : tip.hidden = true);
main.addEventListener("click", event => choose(event.target.tagName == "I" ? event.target : null));

// --- Places
const sectionAt = place => {
  let low = 0, high = begins.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (begins[middle] <= place) low = middle; else high = middle;
  }
  return sections[low];
};
const tokenAt = place => {
  const section = sectionAt(place);
  paint(section);
  let at = begins[section.number];
  for (const token of section.children) {
    at += token.textContent.length;
    if (at > place) return token;
  }
  return section.lastChild;
};
const placeAt = y => {  // y: in the window
  let low = 0, high = sections.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sections[middle].getBoundingClientRect().top <= y) low = middle; else high = middle;
  }
  const box = sections[low].getBoundingClientRect();
  const part = Math.max(0, Math.min(1, (y - box.top) / box.height));
  return begins[low] + part * (end(low) - begins[low]);
};
// Sections on the way get their real heights only when they are laid out: the second look corrects that.
const go = (place, act = () => {}) => {
  const token = tokenAt(place), look = () => { token.scrollIntoView({block: "center"}); follow(); };
  look();
  act(token);
  requestAnimationFrame(() => {
    look();
    if (chosen == token) tell(token);
  });
};

// --- Surprises: the tokens of which there is about one in 200
const step = 79 * 79, counts = new Uint32Array(step), surprises = [];
const everyToken = visit => sections.forEach(section => {
  const {lengths, bits} = tokens(section);
  for (let i = 0, at = begins[section.number]; i < bits.length; at += lengths[i++]) visit(at, lengths[i], bits[i]);
});
let count = 0;
everyToken((at, length, bits) => { ++counts[Math.round(bits * 100)]; ++count; });
let least = step - 1;
for (let left = Math.max(1, count / 200); least > 200; --least) if ((left -= counts[least]) <= 0) break;
everyToken((at, length, bits) => { if (Math.round(bits * 100) >= least) surprises.push(at); });
const surprise = direction => {
  const inSection = token => [...token.parentNode.children];
  let here = placeAt(query("header").offsetHeight) - 1;
  if (chosen && chosen.isConnected) {
    here = begins[chosen.parentNode.number];
    for (const token of inSection(chosen)) if (token == chosen) break; else here += token.textContent.length;
  }
  const found = direction > 0 ? surprises.find(at => at > here) : surprises.findLast(at => at < here);
  if (found !== undefined) go(found, choose);
};
query("#next").addEventListener("click", () => surprise(1));
query("#previous").addEventListener("click", () => surprise(-1));
const beside = direction => {
  const token = direction > 0 ? chosen.nextElementSibling : chosen.previousElementSibling;
  const section = sections[chosen.parentNode.number + direction];
  if (!token && section) paint(section);
  const next = token || section && (direction > 0 ? section.firstChild : section.lastChild);
  if (!next) return;
  next.scrollIntoView({block: "nearest"});
  choose(next);
};
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key == "n") surprise(1);
  else if (event.key == "p") surprise(-1);
  else if (event.key == "Escape") choose(null), document.querySelectorAll("details").forEach(d => d.open = false);
  else if ((event.key == "ArrowRight" || event.key == "ArrowLeft") && chosen && chosen.isConnected) {
    event.preventDefault();
    beside(event.key == "ArrowRight" ? 1 : -1);
  }
});
const passages = [...document.querySelectorAll("a[data-at]")];
passages.forEach(link => link.addEventListener("click", event => {
  event.preventDefault();
  link.closest("details").open = false;
  go(+link.dataset.at, choose);
}));

// --- The whole document at a glance: cells in reading order, coloured by bits per character
const draw = () => {
  const scale = devicePixelRatio || 1, width = map.clientWidth, height = map.clientHeight, gutter = 8;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const columns = Math.max(4, Math.floor((width - gutter) / 4)), rows = Math.max(1, Math.floor(height / 2));
  const cells = new Float32Array(columns * rows), share = total / cells.length;
  everyToken((at, length, bits) => {
    for (let from = at; length && from < at + length;) {
      const cell = Math.min(cells.length - 1, Math.floor(from / share));
      const to = cell + 1 == cells.length ? at + length : Math.min(at + length, Math.max((cell + 1) * share, from + 1e-3));
      cells[cell] += bits * (to - from) / length / share;
      from = to;
    }
  });
  const sorted = cells.slice().sort(), at = part => sorted[Math.floor(part * (sorted.length - 1))];
  const low = at(.02), range = at(.985) - low || 1;
  const style = getComputedStyle(document.documentElement), colour = [];
  for (let i = 1; i <= 8; ++i) colour.push(style.getPropertyValue("--c" + i));
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const cellWidth = (width - gutter) / columns, cellHeight = height / rows;
  cells.forEach((bits, i) => {
    const level = Math.floor((bits - low) / range * 9) - 1;
    if (level < 0 || !total) return;
    context.fillStyle = colour[Math.min(7, level)];
    context.fillRect(gutter + i % columns * cellWidth, Math.floor(i / columns) * cellHeight, cellWidth, cellHeight + .5);
  });
  context.fillStyle = style.getPropertyValue("--mark");
  passages.forEach(link => {
    const y = link.dataset.at / total * height;
    context.beginPath();
    context.moveTo(0, y - 4);
    context.lineTo(gutter - 1, y);
    context.lineTo(0, y + 4);
    context.fill();
  });
  follow();
};
const follow = () => {
  const from = placeAt(query("header").offsetHeight) / total, to = placeAt(innerHeight) / total;
  view.style.top = from * map.clientHeight + "px";
  view.style.height = Math.max(0, to - from) * map.clientHeight + "px";
};
const once = act => {
  let waiting = false;
  return argument => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; act(argument); });
  };
};
const drag = event => go(Math.max(0, Math.min(total - 1, event.clientY / map.clientHeight * total)));
map.addEventListener("pointerdown", event => {
  event.preventDefault();
  map.setPointerCapture(event.pointerId);
  choose(null);
  drag(event);
});
map.addEventListener("pointermove", event => { if (event.buttons & 1) drag(event); });
addEventListener("scroll", once(() => {
  follow();
  if (chosen && chosen.isConnected) tell(chosen); else tip.hidden = true;
}), {passive: true});
addEventListener("resize", once(draw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", once(draw));
if (sections.length) draw(); else map.hidden = true;
</script>
</html>
)js";

}  // namespace unroll
