/** The page of an audit: what was found first, then the pictures it is about, then the tables behind it. */
import type { AuditedImage, AuditReport, SimilarPair } from "../audit/report.js";
import type { Shortcuts } from "../audit/shortcuts.js";
import { expectNamed, expectText, type NamesOf } from "../settings/given.js";
import { factList } from "./facts.js";
import { element, escapeMarkup, figure, ink, line, type Markup, palette, text } from "./figures/svg.js";
import { expectAuditReport, expectPicturedPairs } from "./given-audit.js";
import { pageHtml } from "./page.js";
import { tableHtml } from "./tables.js";

/** A pair with its pictures, as data URIs. */
export interface PicturedPair extends SimilarPair {
  /** Of both images, in their order. */
  readonly pictures: readonly [string, string];
}

/** What the page shows. */
export interface AuditPage {
  /** Its heading. */
  readonly title: string;
  /** What the audit found. */
  readonly report: AuditReport;
  /** The first pairs of the same image under different labels. */
  readonly conflicts: readonly PicturedPair[];
  /** The first pairs across splits. */
  readonly across: readonly PicturedPair[];
  /** The first pairs that are nearly the same. */
  readonly near: readonly PicturedPair[];
}

const pageNames: NamesOf<AuditPage> = {
  title: true,
  report: true,
  conflicts: true,
  across: true,
  near: true,
};

/** The page, standing alone. @throws ArgumentError for a report that `audit` has not made */
export function auditHtml(page: AuditPage): string {
  const { title, report, conflicts, across, near } = expectNamed("auditHtml", "the page", page, pageNames);
  expectText("auditHtml", "title", title);
  expectAuditReport("auditHtml", report);
  for (const [name, pairs] of Object.entries({ conflicts, across, near }))
    expectPicturedPairs("auditHtml", name, pairs);
  const { warnings, labelConflicts, crossSplit, nearDuplicates, shortcuts } = report;
  const verdict = `<p class="lead ${report.ok ? "good" : "bad"}">${escapeMarkup(verdictOf(report))}</p>`;
  const findings = warnings.map((sentence) => `<li>${escapeMarkup(sentence)}</li>`).join("\n");
  return pageHtml(
    title,
    [
      verdict,
      factList(factsOf(report)),
      "<h2>What was found</h2>",
      findings === "" ? "<p>Nothing that is to be looked at.</p>" : `<ul class="findings">${findings}</ul>`,
      pairSection("The same image under different labels", conflicts, labelConflicts.count),
      pairSection("The same image in two splits", across, crossSplit.count),
      pairSection("Nearly the same images", near, nearDuplicates.count),
      shortcutSection(shortcuts),
      "<h2>Splits and classes</h2>",
      splitTable(report),
      "<h2>Images</h2>",
      imageTable(report),
      listSection(report),
    ].join("\n"),
  );
}

/** The outcome in a sentence. */
export function verdictOf({ ok, shortcuts }: Pick<AuditReport, "ok" | "shortcuts">): string {
  if (!ok)
    return "Not fit for a score yet: scores on these data would be wrong. Mend what was found, and audit again.";
  const told = shortcuts.features.some(({ suspicious }) => suspicious);
  const but = told ? ", but the label follows from what is no finding: see the shortcuts" : "";
  return `No leak, contradiction or unreadable image was found${but}.`;
}

function factsOf({ images, patients, duplicates }: AuditReport): Record<string, string> {
  const { count, images: known, acrossSplits } = patients;
  const people = `${count} of ${known} images, ${acrossSplits} in more than one split`;
  return {
    Images: String(images.count),
    Patients: count === null ? "not known: leaks by patient cannot be seen" : people,
    Copies: String(duplicates.count),
  };
}

function pairSection(heading: string, pairs: readonly PicturedPair[], count: number): string {
  if (count === 0) return "";
  const more = count > pairs.length ? `<p class="note">The first ${pairs.length} of ${count} pairs.</p>` : "";
  return `<h2>${escapeMarkup(heading)}</h2>\n${more}<div class="pairs">${pairs.map(pairFigure).join("\n")}</div>`;
}

function pairFigure({ images, similarity, how, pictures }: PicturedPair): string {
  const shown = pictures.map((uri, at) => {
    const alternative = `${images[at]!.name}, ${images[at]!.labels.join(", ")}`;
    return `<img src="${escapeMarkup(uri)}" alt="${escapeMarkup(alternative)}">`;
  });
  const said = how === "identical" ? "identical pixels" : `similarity ${similarity.toFixed(3)}, ${how}`;
  return `<div class="pair"><div class="pictures">${shown.join("")}</div>${images.map(imageLine).join("")}<p class="note">${escapeMarkup(said)}</p></div>`;
}

function imageLine({ name, labels, split }: AuditedImage): string {
  const about = [labels.join(", ") || "no label", ...(split === null ? [] : [split])].join(" · ");
  return `<p><b>${escapeMarkup(about)}</b><br>${escapeMarkup(name)}</p>`;
}

function shortcutSection({ chance, all, features, classes, clusters, images, leftOut }: Shortcuts): string {
  if (!chance || !all) return "";
  const rows = [all, ...features].map(({ feature, from, auc, interval: [low, high], areas, suspicious }) => {
    const best = areas.reduce((most, area, at) => (area > (areas[most] ?? 0) ? at : most), 0);
    const most = classes.length > 1 ? `${classes[best]} ${hundredths(areas[best])}` : "";
    const name = from === "file" ? `${feature} (of the file)` : feature;
    return [
      name,
      hundredths(auc),
      `${hundredths(low)} to ${hundredths(high)}`,
      most,
      suspicious ? { markup: '<b class="bad">look at this</b>' } : "",
    ];
  });
  const asked = clusters < images ? `${images} images of ${clusters} patients or groups` : `${images} images`;
  const without =
    leftOut.length > 0
      ? ` Left out, because nearly every image has another text there: ${leftOut.join(", ")}.`
      : "";
  const explanation = `A logistic regression is asked for the label of ${asked} by what is no finding, each image by a model that has not seen it. 0.5 is chance; with labels dealt out at random it gave ${hundredths(chance.auc)}, and ${hundredths(chance.upper)} at most in 19 of 20.${without}`;
  const most = classes.length > 1 ? "Best told class" : "";
  return `<h2>Shortcuts</h2>
<p>${escapeMarkup(explanation)}</p>
<figure>${shortcutFigure([all, ...features], chance)}<figcaption>AUC of each, with its 95 % interval; the grey band is chance.</figcaption></figure>
${tableHtml({
  caption: "How well the label follows from each thing known of an image",
  headings: ["Known of an image", "AUC", "95 %", most, ""],
  rows,
  texts: [3, 4],
})}`;
}

/** A score; a dash for one that could not be computed, which is null in a file. */
const hundredths = (score: number | null | undefined): string =>
  typeof score === "number" && !Number.isNaN(score) ? score.toFixed(2) : "–";

const width = 460;
const rowHeight = 22;
const labelWidth = 205;

const isDrawn = ({ auc, interval }: NonNullable<Shortcuts["all"]>): boolean =>
  [auc, ...interval].every(Number.isFinite);

/** A row for each feature whose score could be computed: its interval as a line, its AUC as a dot. */
function shortcutFigure(rows: readonly NonNullable<Shortcuts["all"]>[], chance: { upper: number }): string {
  const height = rows.length * rowHeight + 34;
  const x = (auc: number) =>
    labelWidth + Math.min(Math.max((auc - 0.3) / 0.7, 0), 1) * (width - labelWidth - 20);
  const bottom = height - 24;
  const band = element("rect", {
    x: x(1 - chance.upper),
    y: 6,
    width: x(chance.upper) - x(1 - chance.upper),
    height: bottom - 6,
    fill: ink.grid,
  });
  const ticks = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].flatMap((tick) => [
    line(x(tick), 6, x(tick), bottom, { stroke: tick === 0.5 ? ink.axis : ink.grid }),
    text(x(tick), bottom + 16, tick.toFixed(1), { "text-anchor": "middle", fill: ink.muted }),
  ]);
  const marks = rows
    .filter(isDrawn)
    .flatMap(({ feature, auc, interval: [low, high], suspicious }, at): Markup[] => {
      const y = 6 + (at + 0.5) * rowHeight;
      const color = suspicious ? palette[1].line : palette[0].line;
      const name = feature.length > 31 ? `${feature.slice(0, 29)}…` : feature;
      return [
        text(labelWidth - 12, y + 4, name, { "text-anchor": "end" }),
        line(x(low), y, x(high), y, { stroke: color, "stroke-width": 2 }),
        element("circle", { cx: x(auc), cy: y, r: 4, fill: color }),
      ];
    });
  return figure(
    width,
    height,
    "AUC by which the label follows from each thing known of an image",
    band,
    ...ticks,
    ...marks,
  );
}

function splitTable({ splits, patients }: AuditReport): string {
  const classes = Object.keys(Object.values(splits)[0]?.classes ?? {});
  const rows = Object.entries(splits).map(([name, part]) => {
    const people = patients.count === null ? [] : [String(part.patients ?? "–")];
    const counts = classes.map((label) => String(part.classes[label] ?? 0));
    return [name, String(part.images), ...people, ...counts];
  });
  const headings = ["Images", ...(patients.count === null ? [] : ["Patients"]), ...classes];
  return tableHtml({ caption: "Images of each split and class", headings: ["Split", ...headings], rows });
}

function imageTable({ images }: AuditReport): string {
  const values = Object.entries({
    Sizes: images.sizes,
    "Bits of a value": images.bitDepths,
    Channels: images.channels,
    Photometric: images.photometrics,
    Spacing: images.spacings,
  });
  const rows = values
    .filter(([, counts]) => Object.keys(counts).length > 0)
    .map(([name, counts]) => {
      const said = Object.entries(counts).map(([value, count]) => `${value}: ${count}`);
      return [name, said.join(", ")];
    });
  return tableHtml({
    caption: "How images are stored",
    headings: ["Of images", "How many"],
    rows,
    texts: [1],
  });
}

/** Images of which nothing can be learned, by name. */
function listSection({ images }: AuditReport): string {
  const lists = Object.entries({
    Unreadable: images.unreadable,
    "With burned-in words": images.burnedIn,
    "Of one value": images.constant,
    Blank: images.blank,
    Tiny: images.tiny,
    "Cut off at white or black": images.clipped,
  }).filter(([, { count }]) => count > 0);
  const rows = lists.map(([name, { count, first }]) => {
    const some = first.slice(0, 10).map((image) => image.name);
    const more = count > some.length ? ` and ${count - some.length} more` : "";
    return [name, String(count), some.join(", ") + more];
  });
  if (rows.length === 0) return "";
  return tableHtml({
    caption: "Pictures of which nothing can be learned",
    headings: ["Pictures", "How many", "Which"],
    rows,
    texts: [2],
  });
}
