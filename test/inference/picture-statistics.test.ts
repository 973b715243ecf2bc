/** What is said of a picture, against numpy's numbers. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { pictureStatistics, pictureWidth } from "../../src/inference/picture-statistics.js";
import { fixture } from "../support/repository.js";

const { image, picture } = JSON.parse(readFileSync(fixture("uncertainty.json"), "utf8")) as {
  image: number[];
  picture: number[];
};

it("is numpy's, of bytes and of deeper pictures", () => {
  expect(picture).toHaveLength(pictureWidth(3));
  const shape = [2, 3, 9, 10] as const;
  const bytes = pictureStatistics({ images: Uint8Array.from([...image, ...image]), shape });
  const deep = Float32Array.from([...image, ...image], (value) => value / 255);
  const floats = pictureStatistics({ images: deep, shape });
  for (const [at, value] of picture.entries()) {
    expect(bytes[at]).toBeCloseTo(value, 9);
    expect(bytes[picture.length + at]).toBe(bytes[at]);
    expect(floats[at]).toBeCloseTo(value, 5);
  }
});

it("is finite of blank pictures, of one pixel and of one channel", () => {
  for (const [channels, side] of [
    [1, 1],
    [3, 1],
    [1, 4],
    [3, 7],
  ] as const) {
    const images = new Uint8Array(channels * side * side);
    const found = pictureStatistics({ images, shape: [1, channels, side, side] });
    expect(found).toHaveLength(pictureWidth(channels));
    expect(found.every(Number.isFinite)).toBe(true);
  }
});
