/** examples/docker: what can be known of it without Docker, and, where there is a daemon, what Docker's own checks say. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "./support/repository.js";

const folder = join(repository, "examples/docker");
const canBuild = spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0;
if (!canBuild) console.warn("NOT TESTED: examples/docker in Docker, because no Docker daemon answers here.");

/** The instructions of a file, lines that go on put together. */
function instructionsOf(name: string): [instruction: string, rest: string][] {
  const text = readFileSync(join(folder, name), "utf8")
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]);
}

describe.each(["Dockerfile", "Dockerfile.alpine"])("%s", (name) => {
  const instructions = instructionsOf(name);
  const last = instructions.slice(instructions.findLastIndex(([instruction]) => instruction === "FROM"));
  const of = (wanted: string) =>
    last.filter(([instruction]) => instruction === wanted).map(([, rest]) => rest);

  it("has instructions of Docker alone, none of them a health check", () => {
    const known = ["FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"];
    for (const [instruction] of instructions) expect(known).toContain(instruction);
  });

  it("starts this package's command line, as nobody special, in a folder of their own", () => {
    const { bin } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
    expect(JSON.parse(of("ENTRYPOINT")[0]!)).toEqual(["node", `/app/node_modules/medmamba/${bin.medmamba}`]);
    expect(of("USER")).toEqual(["node"]);
    expect(of("WORKDIR")).toEqual(["/work"]);
    expect(of("RUN")).toEqual(["mkdir /work && chown node:node /work"]);
  });

  it("takes a version of Node that the package runs on, and no compiler into what is kept", () => {
    const stages = instructions.filter(([instruction]) => instruction === "FROM").map(([, rest]) => rest);
    expect(stages).toHaveLength(2);
    for (const stage of stages) expect(stage).toMatch(/^node:22-(slim|alpine)( AS install)?$/);
    expect(of("RUN").join()).not.toMatch(/apk|apt-get|npm/);
  });

  it("is given nothing of the folder but the package", () => {
    expect(readFileSync(join(folder, ".dockerignore"), "utf8")).toBe("*\n!medmamba-*.tgz\n");
    const copied = instructions.filter(([instruction]) => instruction === "COPY").map(([, rest]) => rest);
    expect(copied).toEqual(["medmamba-*.tgz ./", "--from=install /app /app"]);
  });

  it.runIf(canBuild)("passes Docker's checks", () => {
    const { status, stderr } = spawnSync(
      "docker",
      ["build", "--check", "--file", join(folder, name), folder],
      {
        encoding: "utf8",
      },
    );
    expect(status, stderr).toBe(0);
  });
});
