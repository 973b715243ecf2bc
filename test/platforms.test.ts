/** The table of docs/platforms.md: what it calls tested has a command, and the command is there and run by CI. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { textOf } from "./support/documents.js";
import { repository } from "./support/repository.js";

const rows = textOf("docs/platforms.md")
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .slice(1)
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, where, built, tested, unknown]) => ({
    where: where!,
    built: built!,
    tested: tested!,
    unknown: unknown!,
  }));

/** Whether `npm test` runs something of a file or folder of tests. */
function hasTests(place: string): boolean {
  const path = join(repository, place);
  if (!existsSync(path)) return false;
  return statSync(path).isDirectory()
    ? readdirSync(path).some((name) => name.endsWith(".test.ts"))
    : place.endsWith(".test.ts");
}

it("is about all that the package is delivered for", () => {
  expect(rows.length).toBeGreaterThan(8);
  for (const name of [
    "Linux x64",
    "Linux ARM",
    "Bun",
    "Deno",
    "Clang",
    "macOS",
    "Windows x64",
    "musl (Alpine)",
    "Electron",
  ])
    expect(
      rows.some(({ where }) => where.includes(name)),
      name,
    ).toBe(true);
});

it.each(rows)("has a command for $where, or says that there is none", ({ tested, unknown }) => {
  const commands = [...tested.matchAll(/`([^`]+)`/g)].map(([, command]) => command!);
  if (!/not at all|as for/.test(tested)) expect(commands).not.toHaveLength(0);
  if (/not at all/.test(tested)) expect(unknown).not.toBe("");
  for (const command of commands) {
    const [, place] = /^npx vitest run (\S+)$/.exec(command) ?? [];
    if (place) expect(hasTests(place), place).toBe(true);
    else if (command !== "npm test" && command !== "doctor")
      expect(existsSync(join(repository, command.replace(/^node /, ""))), command).toBe(true);
  }
});

it("is tested by .ci/run, which runs all tests", () => {
  expect(readFileSync(join(repository, ".ci/run"), "utf8")).toMatch(/^npm test /m);
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  expect(scripts.test).toMatch(/vitest run$/);
});
