/** By what the numbers came about: settings, versions, machine, seed, command, and hashes by which both are known again. */
import { factList } from "../facts.js";
import { tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** What the section tells, as plain JSON. */
export interface RunEvidence {
  /** What was typed, without places on the machine. */
  readonly command?: string | undefined;
  /** Of the package, of Node and so on, by name. */
  readonly versions?: Readonly<Record<string, string>>;
  /** Such as "cpu" or "cuda:0 NVIDIA H200". */
  readonly device?: string | undefined;
  /** "float32" or "bfloat16". */
  readonly precision?: string | undefined;
  /** Such as "AVX-512". */
  readonly simd?: string | undefined;
  /** Of the CPU. */
  readonly threads?: number | undefined;
  /** Of the training. */
  readonly seed?: number | undefined;
  /** When it was judged, ISO 8601. */
  readonly date?: string | undefined;
  /** SHA-256 of the checkpoint's file in hexadecimal digits. */
  readonly checkpoint?: string | undefined;
  /** The source that it was run from, such as a git commit. */
  readonly commit?: string | undefined;
  /** Settings of model, training and preprocessing, by name; objects are told as JSON. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** The section. @param numbers  SHA-256 of `report.json`, where there is one */
export function runSection(evidence: RunEvidence, numbers?: string): ReportSection {
  const {
    command,
    versions = {},
    device,
    precision,
    simd,
    threads,
    seed,
    date,
    checkpoint,
    commit,
    settings = {},
  } = evidence;
  const known = {
    Command: command,
    Date: date,
    ...versions,
    Device: device,
    Precision: precision,
    "Vector instructions": simd,
    Threads: threads?.toString(),
    Seed: seed?.toString(),
    Commit: commit,
    "SHA-256 of the checkpoint": checkpoint,
    "SHA-256 of report.json": numbers,
  };
  const facts = Object.fromEntries(
    Object.entries(known).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const rows = Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, typeof value === "string" ? value : (JSON.stringify(value) ?? "–")]);
  const table =
    rows.length === 0
      ? ""
      : tableHtml({ caption: "Settings", headings: ["Setting", "Value"], rows, texts: [1] });
  const receipt =
    numbers === undefined
      ? ""
      : `<p class="note">The numbers of this page are in report.json beside it, but for those of curves, which are drawn. The same checkpoint, images and version of the package give the same numbers, and the same hash.</p>`;
  return {
    id: "run",
    heading: "How it was run",
    body: [Object.keys(facts).length === 0 ? "" : factList(facts), receipt, table].filter(Boolean).join("\n"),
  };
}
