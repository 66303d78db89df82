// The log report's script: shows the lines in view with their numbers and colours, searches, goes to events,
// draws the map of all lines.
#pragma once

#include <string_view>

namespace unroll {

/// A section's data-n: its first line's number in its log. data-s: its lines' scores in hundredths, two
/// digits to base 79 each; digit 0 is the character '0'. Places are counted in lines of all sections.
inline constexpr std::string_view kLogReportScript = R"js(<script>
"use strict";
const query = selector => document.querySelector(selector), every = selector => [...document.querySelectorAll(selector)];
const sections = every("section"), links = every("nav a");
const [map, canvas, view, field, told] = ["aside", "canvas", "aside div", "#find", "output"].map(query);
const begins = [];
let total = 0;
sections.forEach((section, i) => {
  section.number = i;
  begins.push(total);
  total += section.dataset.s.length / 2;
});
const scoreOf = (scores, i) => ((scores.charCodeAt(2 * i) - 48) * 79 + scores.charCodeAt(2 * i + 1) - 48) / 100;
const levels = [1, 2, 3.5, 5, 7, 9, 12, 15];
const levelOf = score => levels.filter(least => score >= least).length;
const before = (list, value) => {  // the last that is not after `value`
  let low = 0, high = list.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle; else high = middle;
  }
  return low;
};
const textOf = section => section.raw === undefined ? section.textContent : section.raw;

// --- Sections near the view are cut into lines; the others are plain text, so that a long log fits.
const paint = section => {
  if (section.raw !== undefined) return;
  section.raw = section.textContent;
  const lines = section.raw.split("\n"), cut = document.createDocumentFragment(), {n, s} = section.dataset;
  for (let i = 0; i < s.length / 2; ++i) {
    const line = document.createElement("p"), score = scoreOf(s, i), level = levelOf(score);
    line.textContent = lines[i];
    line.dataset.n = +n + i;
    if (level) line.className = "c" + level, line.title = "score " + score.toFixed(2);
    cut.append(line);
  }
  section.replaceChildren(cut);
  if (chosen >= begins[section.number] && chosen < begins[section.number] + s.length / 2) mark();
};
const near = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => {
  if (isIntersecting) return paint(target);
  if (target.raw === undefined) return;
  target.textContent = target.raw;
  delete target.raw;
}), {rootMargin: "1500px"});
sections.forEach(section => near.observe(section));

// --- Places
let chosen = -1, words = "";
const lineAt = place => {
  const section = sections[before(begins, place)];
  paint(section);
  return section.children[place - begins[section.number]];
};
const mark = () => {
  every("section p.on").forEach(line => line.classList.remove("on"));
  if (chosen < 0) return;
  const section = sections[before(begins, chosen)];
  if (section.raw === undefined) return;
  const line = section.children[chosen - begins[section.number]];
  line.classList.add("on");
  if (!CSS.highlights) return;
  CSS.highlights.delete("found");
  const at = words ? line.textContent.toLowerCase().indexOf(words) : -1;
  if (at < 0 || !line.firstChild || at + words.length > line.firstChild.length) return;
  const range = new Range();
  range.setStart(line.firstChild, at);
  range.setEnd(line.firstChild, at + words.length);
  CSS.highlights.set("found", new Highlight(range));
};
const topOfLines = () => query("form").getBoundingClientRect().bottom;
// Sections on the way get their real heights only when they are laid out: the second look corrects that.
const go = (place, choose = true) => {
  if (!total) return;
  const look = () => { lineAt(place).scrollIntoView({block: "center"}); follow(); };
  if (choose) chosen = place;
  look();
  mark();
  requestAnimationFrame(() => { look(); mark(); });
  links.forEach(link => link.classList.toggle("on", choose && +link.dataset.at == place));
};
const placeAt = y => {  // y: in the window
  if (!total) return 0;
  let low = 0, high = sections.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sections[middle].getBoundingClientRect().top <= y) low = middle; else high = middle;
  }
  const box = sections[low].getBoundingClientRect(), count = sections[low].dataset.s.length / 2;
  const part = Math.max(0, Math.min(1, (y - box.top) / (box.height || 1)));
  return begins[low] + Math.min(count - 1, Math.floor(part * count));
};
const here = () => {
  if (chosen >= 0) {
    const section = sections[before(begins, chosen)];
    if (section.raw !== undefined) {
      const box = section.children[chosen - begins[section.number]].getBoundingClientRect();
      if (box.bottom > 0 && box.top < innerHeight) return chosen;
    }
  }
  return placeAt(topOfLines()) - .5;
};
links.forEach(link => link.addEventListener("click", event => {
  event.preventDefault();
  words = "";
  go(+link.dataset.at);
}));

// --- Odd lines: those with a score of 1 or more, at most one in 50 of a log, or 20
const scores = new Float32Array(total);
sections.forEach((section, i) => {
  for (let j = 0; j < section.dataset.s.length / 2; ++j) scores[begins[i] + j] = scoreOf(section.dataset.s, j);
});
const least = Math.max(1, scores.slice().sort()[Math.max(0, total - Math.max(20, Math.floor(total / 50)))] || 0);
const odd = [];
scores.forEach((score, place) => { if (score >= least) odd.push(place); });
const step = (places, direction) => {
  const from = here();
  const place = direction > 0 ? places.find(each => each > from) : places.findLast(each => each < from);
  if (place !== undefined) go(place);
  return place;
};
const stepOdd = direction => { words = ""; step(odd, direction); };
query("#next").addEventListener("click", () => stepOdd(1));
query("#previous").addEventListener("click", () => stepOdd(-1));

// --- Search
let found = [];
const count = new Intl.NumberFormat("en");
const search = () => {
  words = field.value.toLowerCase();
  found = [];
  if (words && !/^:\d+$/.test(words)) sections.forEach((section, i) => {
    const text = textOf(section).toLowerCase();
    if (!text.includes(words)) return;
    text.split("\n").forEach((line, j) => { if (line.includes(words)) found.push(begins[i] + j); });
  });
  tell();
};
const tell = () => {
  const at = found.indexOf(chosen);
  told.textContent = !words || /^:\d+$/.test(words) ? "" :
      found.length ? (at < 0 ? "" : count.format(at + 1) + " of ") + count.format(found.length) : "not found";
};
const goToLine = number => {  // of the log in view
  const log = sections[before(begins, Math.max(0, Math.ceil(here())))]?.dataset.f;
  const section = sections.filter(each => each.dataset.f == log && +each.dataset.n <= number).at(-1);
  if (section) go(begins[section.number] + Math.min(number - section.dataset.n, section.dataset.s.length / 2 - 1));
};
const stepFound = direction => {
  const number = /^:(\d+)$/.exec(field.value);
  if (number) return search(), goToLine(+number[1]);
  search();
  if (step(found, direction) === undefined && found.length) go(direction > 0 ? found[0] : found.at(-1));
  tell();
};
let waiting = 0;
field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 150); });
query("form").addEventListener("submit", event => event.preventDefault());
field.addEventListener("keydown", event => {
  if (event.key != "Enter") return;
  event.preventDefault();
  stepFound(event.shiftKey ? -1 : 1);
});
query("#forth").addEventListener("click", () => stepFound(1));
query("#back").addEventListener("click", () => stepFound(-1));
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key == "Escape") return chosen = -1, field.value = "", field.blur(), search(), mark();
  if (event.target.tagName == "INPUT") return;
  if (event.key == "n") stepOdd(1);
  else if (event.key == "p") stepOdd(-1);
  else if (event.key == "/") event.preventDefault(), field.focus(), field.select();
});

// --- All lines at a glance: a row of the map has the colour of its oddest line
const draw = () => {
  const scale = devicePixelRatio || 1, width = map.clientWidth, height = map.clientHeight;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const rows = Math.max(1, Math.floor(height / 3)), worst = new Float32Array(rows);
  scores.forEach((score, place) => {
    const row = Math.min(rows - 1, Math.floor(place / total * rows));
    worst[row] = Math.max(worst[row], score);
  });
  const style = getComputedStyle(document.documentElement), context = canvas.getContext("2d");
  context.scale(scale, scale);
  worst.forEach((score, row) => {
    const level = levelOf(score);
    if (!level) return;
    context.fillStyle = style.getPropertyValue("--c" + level);
    context.fillRect(width * .15, row * height / rows, width * .7, Math.max(3, height / rows));
  });
  follow();
};
const follow = () => {
  if (!total) return;
  const from = placeAt(topOfLines()) / total, to = (placeAt(innerHeight) + 1) / total;
  view.style.top = from * map.clientHeight + "px";
  view.style.height = Math.max(0, to - from) * map.clientHeight + "px";
};
const once = act => {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => { waits = false; act(); });
  };
};
const drag = event => go(Math.max(0, Math.min(total - 1, Math.floor(event.clientY / map.clientHeight * total))), false);
map.addEventListener("pointerdown", event => {
  event.preventDefault();
  map.setPointerCapture(event.pointerId);
  drag(event);
});
map.addEventListener("pointermove", event => { if (event.buttons & 1) drag(event); });
addEventListener("scroll", once(follow), {passive: true});
addEventListener("resize", once(draw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", once(draw));
if (total) draw(); else map.hidden = true;
</script>
</html>
)js";

}  // namespace unroll
