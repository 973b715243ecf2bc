/**
 * A data set made from nothing: ultrasound-like images of three findings, small enough to train on in a minute and
 * varied enough that a network has to look at shape, contrast and what lies behind a lesion.
 *
 *   cyst    a dark, smooth oval; fluid swallows no sound, so the tissue behind it is brighter
 *   mass    a darkish blob, irregular and spiculated, that swallows sound and casts a shadow
 *   normal  layered tissue alone; a vessel's worth of dark or a bright spot here and there
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, DataError } from "../../errors.js";
import { expectCounts, expectNamed, expectSignal, inWords, optionsOf } from "../../settings/given.js";
import { type Path, pathOf } from "../../settings/paths.js";
import { messageOf } from "../../settings/realms.js";
import { RandomStream } from "../../tensor/random.js";
import { type SplitName, splitNames } from "../splitting/split-names.js";
import { streams } from "../streams.js";
import { scan, type TissueMap } from "./speckle.js";

/** The findings that `writeDemoDataset` draws. */
export const demoClasses = ["cyst", "mass", "normal"] as const;
export type DemoClass = (typeof demoClasses)[number];

/** What `writeDemoDataset` draws. */
export interface DemoOptions {
  /** The same seed draws the same pixels; 0 unless told. */
  readonly seed?: number;
  /** Images of each class; 80 to train, 20 to validate and 30 to test unless told. */
  readonly perClass?: Partial<Record<SplitName, number>>;
  /** Height and width in pixels; 64 unless told. */
  readonly size?: number;
  /** Stops between two images when aborted. */
  readonly signal?: AbortSignal;
}

const ownFile = /^(cyst|mass|normal)-\d{4}\.png$/;

/**
 * Writes `folder/train/cyst/cyst-0000.png` and so on, 8-bit grey. The same seed gives the same pixels. Images of an
 * earlier call in the same folder are replaced.
 */
export async function writeDemoDataset(folder: Path, options: DemoOptions = {}): Promise<void> {
  const operation = "writeDemoDataset";
  const names = { seed: true, perClass: true, size: true, signal: true } as const;
  const { seed = 0, perClass = {}, size = 64, signal } = optionsOf(operation, options, names);
  const root = pathOf(operation, folder, "the folder");
  expectCounts(operation, { seed }, 0);
  expectSignal(operation, signal);
  if (!Number.isInteger(size) || size < 16 || size > 1024) {
    throw new ArgumentError(`writeDemoDataset: size ${inWords(size)} is not an integer from 16 to 1024.`);
  }
  expectNamed(operation, "perClass", perClass, { train: true, val: true, test: true });
  const { default: sharp } = await import("sharp"); // as decoding does, only where images are made
  const counts = { train: 80, val: 20, test: 30, ...perClass };
  expectCounts(operation, counts, 0);
  for (const [part, split] of splitNames.entries()) {
    for (const [label, name] of demoClasses.entries()) {
      const place = join(root, split, name);
      await mkdir(place, { recursive: true }).catch((cause: unknown) => {
        throw new DataError(`${place} cannot be made: ${messageOf(cause)}.`, { file: place, cause });
      });
      for (const file of await readdir(place)) if (ownFile.test(file)) await rm(join(place, file));
      for (let i = 0; i < counts[split]; ++i) {
        signal?.throwIfAborted();
        const { pixels } = drawDemoImage(name, size, new RandomStream(seed, streams.demo, part, label, i));
        await sharp(pixels, { raw: { width: size, height: size, channels: 1 } })
          .toColourspace("b-w")
          .png()
          .toFile(join(place, `${name}-${String(i).padStart(4, "0")}.png`));
      }
    }
  }
}

/** What a finding changes by less cannot be seen among the speckle, in decibels. */
const visible = 3;

/** One picture, (size, size) in 8 bits, and 1 where the finding, its shadow or its enhancement was drawn, else 0. */
export function drawDemoImage(
  name: DemoClass,
  size: number,
  random: RandomStream,
): { pixels: Uint8Array; finding: Uint8Array } {
  const between = (low: number, high: number): number => low + (high - low) * random.uniform();
  const tissue = new Float64Array(size * size);
  drawLayers(tissue, size, between, random);
  const healthy = tissue.slice();
  if (name === "cyst") drawCyst(tissue, size, between);
  else if (name === "mass") drawMass(tissue, size, between);
  else drawVariation(tissue, size, between);
  const changed = (level: number, i: number) => Math.abs(level - (healthy[i] ?? 0)) > visible;
  const finding = Uint8Array.from(tissue, (level, i) => (name !== "normal" && changed(level, i) ? 1 : 0));
  const attenuation = between(4, 12);
  for (let i = 0; i < tissue.length; ++i)
    tissue[i] = (tissue[i] ?? 0) - (attenuation * Math.floor(i / size)) / size;
  const scale = size / 64;
  const pulse = { depth: between(0.5, 0.8) * scale, across: between(1, 1.6) * scale };
  const scanner = { pulse, dynamicRange: between(38, 52), white: between(13, 19) };
  return { pixels: scan(tissue, size, scanner, random), finding };
}

type Between = (low: number, high: number) => number;

/** Changes the map where `change` says so; row and column run from 0 to 1. */
function paint(
  tissue: TissueMap,
  size: number,
  change: (level: number, row: number, column: number) => number,
): void {
  for (let i = 0; i < tissue.length; ++i) {
    tissue[i] = change(tissue[i] ?? 0, (Math.floor(i / size) + 0.5) / size, ((i % size) + 0.5) / size);
  }
}

/** 0 well below the edge, 1 well above it, smooth over `width` between. */
function ramp(value: number, width: number): number {
  const t = Math.min(Math.max(value / width + 0.5, 0), 1);
  return t * t * (3 - 2 * t);
}

/** Skin, then layers of differing strength that undulate a little, with bright fascia between. */
function drawLayers(tissue: TissueMap, size: number, between: Between, random: RandomStream): void {
  const layers = Array.from({ length: 2 + random.integer(3) }, () => ({
    depth: between(0.12, 0.95),
    slope: between(-0.12, 0.12),
    wave: between(0, 0.03),
    waves: between(3, 9),
    phase: between(0, 6.28),
    step: between(-6, 6),
    fascia: between(0, 12),
    thickness: between(0.012, 0.025),
  }));
  const skin = { depth: between(0.03, 0.06), strength: between(4, 9) };
  const start = between(-2, 2);
  paint(tissue, size, (_, row, column) => {
    let level = start + skin.strength * ramp(skin.depth - row, 0.04);
    for (const { depth, slope, wave, waves, phase, step, fascia, thickness } of layers) {
      const below = row - depth - slope * (column - 0.5) - wave * Math.sin(waves * column + phase);
      level += step * ramp(below, 0.04) + fascia * Math.exp(-((below / thickness) ** 2));
    }
    return level;
  });
}

function drawCyst(tissue: TissueMap, size: number, between: Between): void {
  const center = { row: between(0.3, 0.6), column: between(0.28, 0.72) };
  const radius = between(0.1, 0.2);
  const flattening = between(0.7, 1);
  const tilt = between(-0.4, 0.4);
  const fluid = between(-34, -20);
  const enhancement = between(5, 9);
  const wall = between(2, 7);
  paint(tissue, size, (level, row, column) => {
    const x = (column - center.column) * Math.cos(tilt) + (row - center.row) * Math.sin(tilt);
    const y = (row - center.row) * Math.cos(tilt) - (column - center.column) * Math.sin(tilt);
    const distance = Math.hypot(x, y / flattening) - radius;
    const inside = ramp(-distance, 0.03);
    const behind =
      ramp(radius * 0.85 - Math.abs(column - center.column), 0.08) *
      ramp(row - center.row - radius * 0.5, 0.1);
    const backWall = wall * Math.exp(-((distance / 0.02) ** 2)) * ramp(row - center.row, 0.1);
    return level + (1 - inside) * (enhancement * behind + backWall) + inside * (fluid - level);
  });
}

function drawMass(tissue: TissueMap, size: number, between: Between): void {
  const center = { row: between(0.28, 0.55), column: between(0.28, 0.72) };
  const radius = between(0.11, 0.19);
  const height = between(1, 1.35); // taller than wide: it grows across the layers
  const lobes = [2, 3, 5].map((count) => ({ count, size: between(0.02, 0.12), phase: between(0, 6.28) }));
  const spicules = { count: Math.round(between(7, 13)), size: between(0.1, 0.28), phase: between(0, 6.28) };
  const strength = between(-19, -11);
  const halo = between(0, 4);
  const shadow = between(8, 16);
  paint(tissue, size, (level, row, column) => {
    const x = column - center.column;
    const y = (row - center.row) / height;
    const angle = Math.atan2(y, x);
    let edge = 1;
    for (const { count, size: part, phase } of lobes) edge += part * Math.sin(count * angle + phase);
    edge += spicules.size * Math.max(0, Math.sin(spicules.count * angle + spicules.phase)) ** 3;
    const distance = Math.hypot(x, y) - radius * edge;
    const inside = ramp(-distance, 0.05);
    const behind = ramp(radius * 0.9 - Math.abs(x), 0.12) * ramp(row - center.row - radius * 0.6, 0.15);
    const rim = halo * Math.exp(-(((distance - 0.03) / 0.03) ** 2));
    return (
      level +
      (1 - inside) * (rim - shadow * behind) +
      inside * (strength - level * 0.5 - 0.4 * shadow * behind)
    );
  });
}

/** What healthy tissue has too, so that "something dark" or "something bright" alone decides nothing. */
function drawVariation(tissue: TissueMap, size: number, between: Between): void {
  const spots = [between(-16, -6), between(4, 12)].map((strength) => ({
    strength,
    row: between(0.2, 0.8),
    column: between(0.15, 0.85),
    height: between(0.02, 0.05),
    width: between(0.04, 0.1),
  }));
  paint(tissue, size, (level, row, column) => {
    let sum = level;
    for (const spot of spots) {
      sum +=
        spot.strength *
        Math.exp(-(((row - spot.row) / spot.height) ** 2) - ((column - spot.column) / spot.width) ** 2);
    }
    return sum;
  });
}
