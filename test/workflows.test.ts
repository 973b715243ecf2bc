/** The forge's workflows, which run nowhere else: what can be known of them without a forge. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { repository } from "./support/repository.js";

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

const folder = join(repository, ".github/workflows");
const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

describe.each(readdirSync(folder))("%s", (name) => {
  const workflow = parse(readFileSync(join(folder, name), "utf8"));
  const jobs = Object.values<{ readonly steps: readonly Step[] }>(workflow.jobs);
  const steps = jobs.flatMap((job) => job.steps);
  const commands = steps.flatMap(({ run }) => run ?? []);

  it("may read and no more, but for what a job asks for", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
  });

  it("uses actions of the forge itself, or pinned ones", () => {
    for (const { uses } of steps) if (uses) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$|@[0-9a-f]{40}$/);
  });

  it("runs scripts that there are", () => {
    const files = commands.flatMap((command) => [...command.matchAll(/\b(?:scripts|\.ci|test)\/[\w/.-]+/g)]);
    for (const [file] of files) expect(existsSync(join(repository, file)), file).toBe(true);
    for (const [, script] of commands.flatMap((command) => [...command.matchAll(/npm run ([\w:]+)/g)]))
      expect(scripts).toHaveProperty([script as string]);
    expect(commands.length).toBeGreaterThan(3);
  });
});

it("a release is packed after its files have come, and goes out with provenance and its list of components", () => {
  const { jobs } = parse(readFileSync(join(folder, "release.yml"), "utf8"));
  expect(jobs.publish.needs).toEqual(["test", "prebuild"]);
  expect(jobs.publish.permissions["id-token"]).toBe("write");
  const place = (text: string) =>
    jobs.publish.steps.findIndex((step: Step) => `${step.uses} ${step.run}`.includes(text));
  const order = [
    "download-artifact",
    "npm pack",
    "scripts/sbom.mjs",
    "--provenance",
    "sbom.cdx.json prebuilds/SHA256SUMS",
  ];
  const places = order.map(place);
  expect(places).not.toContain(-1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
});
