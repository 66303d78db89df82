// The loss curve as an HTML page: an SVG, and a short script to read values from it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "training/loss_curve.h"

namespace unroll {
namespace {

constexpr std::size_t kMostPoints = 800;
constexpr double kWidth = 960, kHeight = 440, kLeft = 56, kRight = 16, kTop = 16, kBottom = 40;
constexpr double kSmoothing = 0.05;  // time constant of the smoothed line, as a share of the points

constexpr const char* kHead = R"(<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<meta http-equiv=Content-Security-Policy
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1b; --soft: #5c5c5c; --line: #e0e0e0; --train: #0b62d6;
  --valid: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --page: #14151a; --ink: #e4e2de; --soft: #a09e9a; --line: #33343b;
  --train: #7ab8ff; --valid: #fb923c; } }
body { margin: 1.25rem auto; max-width: 62rem; padding: 0 1.25rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 0 0 .75rem; color: var(--soft); font-size: .875rem; } p b { color: var(--ink); }
p i { display: inline-block; width: 1.2em; height: .2em; margin: 0 .35em 0 .9em; vertical-align: middle; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 13px; }
.grid { stroke: var(--line); } .raw { stroke: var(--train); opacity: .28; } .smooth { stroke: var(--train); }
.valid { stroke: var(--valid); } .dot { fill: var(--valid); } path { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
#at { stroke: var(--soft); stroke-dasharray: 3 3; visibility: hidden; }
output { display: block; min-height: 1.5em; font-size: .875rem; font-variant-numeric: tabular-nums; }
</style>
)";

/// Points are [step, loss or null, validation loss or null].
constexpr const char* kScript = R"(<script>
'use strict';
const plot = document.querySelector('svg'), line = document.querySelector('#at'), out = document.querySelector('output');
plot.addEventListener('pointermove', event => {
  const box = plot.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * view.width;
  const step = view.first + (x - view.left) / (view.right - view.left) * (view.last - view.first);
  const near = points.reduce((a, b) => Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a);
  const at = view.left + (near[0] - view.first) / (view.last - view.first) * (view.right - view.left);
  line.setAttribute('x1', at); line.setAttribute('x2', at); line.style.visibility = 'visible';
  out.textContent = 'step ' + near[0].toLocaleString('en') + (near[1] == null ? '' : ': ' + near[1].toFixed(4)) +
    (near[2] == null ? '' : ', validation ' + near[2].toFixed(4));
});
plot.addEventListener('pointerleave', () => { line.style.visibility = 'hidden'; out.textContent = ''; });
</script>
)";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string digits(double number, int places) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", places, number);
  return text.data();
}

/// Reduces the rows to what a screen can show, by means over steps. Validated steps are kept unchanged.
std::vector<LossRow> thinned(const std::vector<LossRow>& rows) {
  const auto stride = std::max<std::size_t>(1, rows.size() / kMostPoints);
  std::vector<LossRow> result;
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].loss) {
      sum += *rows[i].loss;
      ++count;
    }
    if (count < stride && i + 1 < rows.size() && !rows[i].validation_loss) continue;
    result.push_back(rows[i]);
    if (count > 0) result.back().loss = sum / static_cast<double>(count);
    sum = 0;
    count = 0;
  }
  return result;
}

/// A bias-corrected exponential mean.
std::vector<LossRow> smoothed(std::vector<LossRow> rows) {
  const auto keep = 1 - 1 / std::max(1.0, kSmoothing * static_cast<double>(rows.size()));
  double sum = 0, weight = 0;
  for (auto& row : rows) {
    if (!row.loss) continue;
    sum = keep * sum + *row.loss;
    weight = keep * weight + 1;
    row.loss = sum / weight;
  }
  return rows;
}

/// A tick distance of 1, 2 or 5 times a power of ten, for about `count` ticks in `range`.
double nice_step(double range, double count) {
  const double rough = range / count, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1, 2, 5}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

/// Maps steps and losses to coordinates.
struct Scale {
  double first = 0, last = 1, low = 0, high = 1;
  double x(double step) const { return kLeft + (step - first) / (last - first) * (kWidth - kLeft - kRight); }
  double y(double loss) const { return kTop + (high - loss) / (high - low) * (kHeight - kTop - kBottom); }
};

Scale scale_of(const std::vector<LossRow>& rows, std::int64_t steps) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& row : rows) {
    for (const auto& loss : {row.loss, row.validation_loss}) {
      if (loss) low = std::min(low, *loss);
      if (loss) high = std::max(high, *loss);
    }
  }
  if (low > high) low = 0, high = 1;
  const double room = std::max(0.05 * (high - low), 1e-3);
  return {0, static_cast<double>(std::max<std::int64_t>(1, steps)), std::max(0.0, low - room), high + room};
}

template <typename Value>
std::string path_of(const Scale& scale, const std::vector<LossRow>& rows, Value value, const char* name) {
  std::string d;
  for (const auto& row : rows) {
    const std::optional<double> loss = value(row);
    if (!loss) continue;
    d += (d.empty() ? "M" : "L") + digits(scale.x(static_cast<double>(row.step)), 1) + ' ' +
         digits(scale.y(*loss), 1);
  }
  return d.empty() ? "" : "<path class=" + std::string(name) + " d=\"" + d + "\"/>\n";
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=" + digits(x, 1) + " y=" + digits(y, 1) + " text-anchor=" + anchor + '>' + text +
         "</text>\n";
}

std::string line_of(double x1, double y1, double x2, double y2, const std::string& attribute) {
  return "<line " + attribute + " x1=" + digits(x1, 1) + " y1=" + digits(y1, 1) + " x2=" + digits(x2, 1) +
         " y2=" + digits(y2, 1) + " />\n";
}

std::string axes(const Scale& scale) {
  std::string svg;
  const double losses = nice_step(scale.high - scale.low, 6);
  const int places = losses < 1 ? static_cast<int>(std::ceil(-std::log10(losses) - 1e-9)) : 0;
  for (double at = std::ceil(scale.low / losses) * losses; at <= scale.high; at += losses) {
    svg += line_of(kLeft, scale.y(at), kWidth - kRight, scale.y(at), "class=grid");
    svg += text_at(kLeft - 8, scale.y(at) + 4, "end", digits(at, places));
  }
  const double steps = std::max(1.0, nice_step(scale.last - scale.first, 8));
  for (double at = scale.first; at <= scale.last; at += steps)
    svg += text_at(scale.x(at), kHeight - kBottom + 20, "middle", digits(at, 0));
  return svg + text_at((kLeft + kWidth - kRight) / 2, kHeight - 4, "middle", "step");
}

std::string summary_of(const std::vector<LossRow>& rows, std::int64_t steps) {
  std::string text = "<p>";
  const LossRow* best = nullptr;
  for (const auto& row : rows) {
    if (row.validation_loss && (best == nullptr || *row.validation_loss < *best->validation_loss))
      best = &row;
  }
  if (!rows.empty()) {
    text += "Step <b>" + std::to_string(rows.back().step) + "</b> of " + std::to_string(steps) + ", " +
            digits(static_cast<double>(rows.back().tokens) / 1e6, 2) + " million tokens.";
  }
  text += " Nats per token: <i style=\"background:var(--train)\"></i>training";
  if (best != nullptr) {
    text += " <i style=\"background:var(--valid)\"></i>validation, at best <b>" +
            digits(*best->validation_loss, 4) + "</b> after step " + std::to_string(best->step);
  }
  return text + ".</p>\n";
}

std::string points_of(const std::vector<LossRow>& rows) {
  std::string text = "const points = [";
  const auto value = [](const std::optional<double>& loss) { return loss ? digits(*loss, 4) : "null"; };
  for (const auto& row : rows)
    text += '[' + std::to_string(row.step) + ',' + value(row.loss) + ',' + value(row.validation_loss) + "],";
  return text + "];\n";
}

std::string view_of(const Scale& scale) {
  return "<script>const view = {width: " + digits(kWidth, 0) + ", left: " + digits(kLeft, 0) +
         ", right: " + digits(kWidth - kRight, 0) + ", first: " + digits(scale.first, 0) +
         ", last: " + digits(scale.last, 0) + "};\n";
}

}  // namespace

std::string loss_page(const std::string& title, const std::vector<LossRow>& rows, std::int64_t steps) {
  const auto shown = thinned(rows);
  const auto scale = scale_of(shown, std::max(steps, rows.empty() ? 0 : rows.back().step));
  const auto training = [](const LossRow& row) { return row.loss; };
  const auto validated = [](const LossRow& row) { return row.validation_loss; };
  std::string page = kHead;
  page += "<title>" + escaped(title) + ": loss</title>\n<h1>" + escaped(title) + "</h1>\n";
  page += summary_of(rows, steps);
  page += "<svg viewBox=\"0 0 " + digits(kWidth, 0) + ' ' + digits(kHeight, 0) +
          "\" role=img aria-label=\"loss by step\">\n" + axes(scale);
  page += path_of(scale, shown, training, "raw") + path_of(scale, smoothed(shown), training, "smooth");
  page += path_of(scale, shown, validated, "valid");
  for (const auto& row : shown) {
    if (!row.validation_loss) continue;
    page += "<circle class=dot r=3 cx=" + digits(scale.x(static_cast<double>(row.step)), 1) +
            " cy=" + digits(scale.y(*row.validation_loss), 1) + " />\n";
  }
  page += line_of(0, kTop, 0, kHeight - kBottom, "id=at") + "</svg>\n<output></output>\n";
  if (shown.empty()) return page;
  return page + view_of(scale) + points_of(shown) + "</script>\n" + kScript;
}

}  // namespace unroll
