/** How a page looks: dark on white, contrast of 4.5 or more, nothing wider than a phone but what scrolls in a frame; and printed. */
export const style = `
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1f2328; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
header, nav, main { max-width: 900px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
main { padding-bottom: 64px; }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 20px 0 0; padding: 10px 0; list-style: none; border-top: 1px solid #e4e7eb; border-bottom: 1px solid #e4e7eb; font-size: 14px; }
a { color: #005f94; }
:focus-visible { outline: 2px solid #005f94; outline-offset: 2px; }
code { font-size: 0.92em; }
.flag { white-space: nowrap; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 44px 0 12px; break-after: avoid; }
h3 { font-size: 16px; margin: 28px 0 8px; break-after: avoid; }
p { margin: 0 0 10px; max-width: 72ch; overflow-wrap: anywhere; }
header .lead { color: #59636e; }
main .lead { font-size: 18px; line-height: 1.45; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0 0 16px; font-size: 14px; }
dt { color: #59636e; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0 0 20px; position: relative; }
caption { text-align: left; padding: 0 0 6px; font-weight: 600; font-size: 14px; }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(852px, calc(100vw - 48px)); }
table { border-collapse: collapse; min-width: min(100%, 420px); font-size: 14px; }
th, td { padding: 5px 14px 5px 0; text-align: left; vertical-align: baseline; border-bottom: 1px solid #e4e7eb; }
thead th, thead td { border-bottom: 1px solid #8c959f; color: #59636e; font-weight: 500; vertical-align: bottom; }
thead .number { white-space: normal; }
td .note { font-size: inherit; }
tr { break-inside: avoid; }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
.note { color: #59636e; }
.note sup, td sup { font-size: 0.75em; line-height: 0; }
.reasons { font-size: 13px; margin-top: -12px; }
figure { margin: 0 0 24px; break-inside: avoid; min-width: 0; }
figure svg { display: block; height: auto; }
figure > svg { max-width: 100%; }
figure .scroll { margin: 0; }
figure .scroll svg { max-width: none; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); gap: 8px 32px; }
figcaption { margin-top: 6px; color: #59636e; font-size: 14px; max-width: 72ch; overflow-wrap: anywhere; }
.pairs { margin: 0 0 24px; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); gap: 20px; }
.pair { border: 1px solid #e4e7eb; border-radius: 6px; padding: 10px; break-inside: avoid; }
.pair .pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.pair img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #1f2328; image-rendering: auto; }
.pair.mistake img { aspect-ratio: auto; background: none; image-rendering: pixelated; }
.pair p { margin: 6px 0 0; font-size: 13px; line-height: 1.4; overflow-wrap: anywhere; }
.findings li { margin: 0 0 8px; overflow-wrap: anywhere; }
.bad { color: #a84a00; }
.good { color: #00704f; }
@media (max-width: 480px) { header, nav, main { padding-left: 15px; padding-right: 15px; } header { padding-top: 24px; }
  caption span { max-width: calc(100vw - 30px); }
  .scroll:not(.under) tbody th { min-width: 8em; }
  .under table, .under tbody, .under thead, .under caption { display: block; }
  .under tr { display: grid; grid-template-columns: minmax(0, 1fr) 4em 8.5em; border-bottom: 1px solid #e4e7eb; align-items: baseline; }
  .under th, .under td { border-bottom: 0; padding-right: 0; overflow-wrap: anywhere; }
  .under .number { white-space: normal; }
  .under tbody .words { grid-column: 1 / -1; padding-top: 0; color: #59636e; }
  .under thead .words { display: none; } }
@page { size: A4; margin: 14mm; }
@media print {
  header, nav, main { max-width: none; padding: 0; }
  body { font-size: 12px; }
  .scroll { overflow: visible; break-inside: avoid; }
  .figures { grid-template-columns: 1fr 1fr; }
  dl, p.note, figcaption, .pair p { font-size: 10.5px; }
  caption { font-size: 11px; }
  table { font-size: 9.5px; }
  th, td { padding: 3px 8px 3px 0; }
  figure .scroll svg, figure svg { max-width: 100%; max-height: 235mm; }
  .wide .number { white-space: normal; }
  caption span { max-width: none; }
}
`;
