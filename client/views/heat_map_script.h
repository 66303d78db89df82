// The heat map's script: colours the visible part, shows a token's number, draws the map of the document.
#pragma once

#include <string_view>

namespace unroll {

/// A section's data-l: its tokens' lengths in UTF-16 units, a digit each (78: and the next digit, too).
/// data-n: their surprisals in hundredths of a bit, two digits to base 79 each. data-r: their ranks, two
/// digits; 6,240 is that and more. data-a: three alternatives for each: three digits for the number in the
/// list `pieces` (from 1), and one for the share of the probability in 78ths. Digit 0 is the character '0'.
/// Places in the document are counted in UTF-16 units of all sections' text.
inline constexpr std::string_view kHeatMapScript = R"js(<script>
"use strict";
const query = selector => document.querySelector(selector);
const sections = [...document.querySelectorAll("section")];
const [main, map, canvas, view, tip] = ["main", "#map", "canvas", "#map div", "output"].map(query);
const begins = [], lines = [];  // of each section: units and line ends before it
let total = 0, line = 0;
const lineEnds = text => {
  let count = 0;
  for (let at = -1; (at = text.indexOf("\n", at + 1)) >= 0;) ++count;
  return count;
};
sections.forEach((section, i) => {
  const text = section.textContent;
  section.number = i;
  begins.push(total);
  lines.push(line);
  total += text.length;
  line += lineEnds(text);
});
const end = number => number + 1 < begins.length ? begins[number + 1] : total;

const number = (digits, from, count) => {
  let value = 0;
  for (let i = from; i < from + count; ++i) value = value * 79 + digits.charCodeAt(i) - 48;
  return value;
};
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
    bits.push(number(n, i, 2) / 100);
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
  if (!target.bits || printing || chosen && chosen.parentNode == target) return;
  target.bits = null;
  target.textContent = target.textContent;
}), {rootMargin: "2000px"});
sections.forEach(section => near.observe(section));
let printing = false;
addEventListener("beforeprint", () => { printing = true; sections.forEach(paint); });
addEventListener("afterprint", () => printing = false);

// --- What a token's number is: for the mouse, and for the keys
let chosen = null;
const compact = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 2});
const thousands = new Intl.NumberFormat("en"), pieces = JSON.parse(query("#pieces").textContent);
const visible = text => text.replace(/\n/g, "\u21B5").replace(/\t/g, "\u21E5").replace(/ /g, "\u2423");
const bold = text => Object.assign(document.createElement("b"), {textContent: visible(text)});
const paragraph = (...parts) => {
  const line = document.createElement("p");
  line.append(...parts);
  return line;
};
const tell = token => {
  const section = token.parentNode, i = [...section.children].indexOf(token), bits = section.bits[i];
  const rank = number(section.dataset.r, 2 * i, 2), likely = [];
  for (let k = 0; k < 3; ++k) {
    const piece = number(section.dataset.a, 12 * i + 4 * k, 3), share = number(section.dataset.a, 12 * i + 4 * k + 3, 1);
    if (piece) likely.push(k ? ", " : "likely: ", bold(pieces[piece - 1]), ` ${Math.round(share / .78)} %`);
  }
  tip.replaceChildren(
    paragraph(bold(token.textContent), ` ${bits.toFixed(1)} bits: 1 in ${compact.format(2 ** bits)}`),
    paragraph(`rank ${thousands.format(rank)}${rank == 6240 ? " or more" : ""}, line ${thousands.format(lineOf(token))}`),
    paragraph(...likely));
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
  history.replaceState(null, "", "#L" + lineOf(token));
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
const lineOf = token => {
  let before = "";
  for (let each = token.previousSibling; each; each = each.previousSibling) before += each.textContent;
  return 1 + lines[token.parentNode.number] + lineEnds(before);
};
const placeOfLine = wanted => {  // wanted: from 1
  let low = 0, high = lines.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (lines[middle] < wanted) low = middle; else high = middle;
  }
  while (low > 0 && lines[low] == wanted - 1 && !sections[low - 1].textContent.endsWith("\n")) --low;
  const text = sections[low].textContent;
  let at = 0;
  for (let left = wanted - 1 - lines[low]; left > 0; --left) {
    const end = text.indexOf("\n", at);
    if (end < 0) break;
    at = end + 1;
  }
  return Math.min(begins[low] + at, total - 1);
};
const goToHash = () => {
  const wanted = /^#L([1-9]\d*)$/.exec(location.hash);
  if (wanted && sections.length) go(placeOfLine(+wanted[1]), choose);
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
const passages = [...document.querySelectorAll("#passages a")];
document.querySelectorAll("a[data-at]").forEach(link => link.addEventListener("click", event => {
  event.preventDefault();
  link.closest("details").open = false;
  go(+link.dataset.at, choose);
}));
const lists = [...document.querySelectorAll("details")];
lists.forEach(list => list.addEventListener("toggle", () => {
  if (list.open) lists.forEach(other => other.open = other == list);
}));
addEventListener("hashchange", goToHash);

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
// --- A line of surprise for each chapter, drawn when the list is opened
const chapters = [...document.querySelectorAll("nav li")];
const drawChapters = () => {
  const from = chapters.map(item => +item.querySelector("a").dataset.at), bins = 24, sums = chapters.map(() => []);
  let chapter = 0;
  everyToken((at, length, bits) => {
    while (chapter + 1 < from.length && at >= from[chapter + 1]) ++chapter;
    const size = (chapter + 1 < from.length ? from[chapter + 1] : total) - from[chapter];
    const bin = Math.floor((at - from[chapter]) / size * bins);
    if (at < from[chapter] || !length) return;
    const sum = sums[chapter][bin] ||= {bits: 0, length: 0};
    sum.bits += bits;
    sum.length += length;
  });
  const means = sums.map(list => [...list].map(sum => sum ? sum.bits / sum.length : NaN));
  const sorted = means.flat().filter(mean => mean >= 0).sort((a, b) => a - b);
  const low = sorted[Math.floor(sorted.length * .02)], high = sorted[Math.ceil(sorted.length * .98) - 1];
  chapters.forEach((item, i) => {
    const points = means[i].map((mean, x) => [x, 16 - 16 * Math.max(0, Math.min(1, (mean - low) / (high - low || 1)))]);
    const path = points.filter(point => point[1] >= 0).map(([x, y], k) => `${k ? "L" : "M"}${x} ${y.toFixed(1)}`).join("");
    const holder = document.createElement("span");
    holder.innerHTML = `<svg viewBox="0 0 ${bins - 1} 16" preserveAspectRatio=none aria-hidden=true><path d="${path}"/></svg>`;
    item.querySelector("small").before(holder, " ");
  });
};
if (chapters.length) query("#chapters").addEventListener("toggle", drawChapters, {once: true});
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
goToHash();
</script>
</html>
)js";

}  // namespace unroll
