// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The report's style sheet: system fonts, one column, light and dark. Figures stay on white cards,
// because their colours are chosen for white.
#pragma once

namespace common {

inline constexpr const char* report_style = R"css(
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --page: #f6f7f9;
  --card: #ffffff; --tint: #eaf3fa; --accent: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa4af; --line: #363d46; --page: #14171b; --card: #1d2126;
    --tint: #16293a; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 12px; letter-spacing: -0.01em; }
h2 { font-size: 1.3rem; margin: 48px 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--line); }
p, dl { max-width: 80ch; }
figcaption { max-width: 104ch; }
p { margin: 0 0 12px; }
.soft { color: var(--soft); }
.result { background: var(--tint); border-left: 4px solid var(--accent); border-radius: 6px;
  padding: 16px 20px; margin: 20px 0; }
.result p { margin: 0; max-width: none; }
.result p + p { margin-top: 8px; }
.result strong { font-weight: 650; }
.notice { background: #fff4e5; color: #5c3c00; border-left: 4px solid #d55e00; border-radius: 6px;
  padding: 12px 20px; margin: 16px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 24px 0 40px; }
figure h3 { margin: 0 0 10px; font-size: 1.05rem; }
.picture { background: #ffffff; border: 1px solid var(--line); border-radius: 8px; padding: 8px; }
.picture svg { display: block; width: 100%; height: auto; margin: 0 auto; }
.picture svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
.picture svg image { image-rendering: pixelated; }
.picture img { display: block; max-width: 100%; height: auto; margin: 0 auto; image-rendering: pixelated; }
figcaption { color: var(--soft); font-size: 0.94rem; margin-top: 10px; }
.table { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; margin: 16px 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 11px; text-align: right; white-space: nowrap; }
th { font-weight: 600; color: var(--soft); }
thead th { border-bottom: 1px solid var(--line); vertical-align: bottom; }
th.text, td.text { text-align: left; }
td.long { white-space: normal; overflow-wrap: anywhere; }
tbody + tbody tr:first-child td, tbody + tbody tr:first-child th { border-top: 1px solid var(--line); }
td.best { font-weight: 650; }
td .spread { color: var(--soft); font-weight: 400; }
.exact td, .exact th { font-style: italic; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 8px; }
dt { font-weight: 600; margin-top: 8px; }
dd { margin: 0 0 0 0; color: var(--soft); }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 0.88rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
@media print { body { background: #ffffff; } figure, .table { break-inside: avoid; } }
)css";

}  // namespace common
