/** Processes of one command: whose words are whose, which code is that of all, and that none is left. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { repository } from "../support/repository.js";

const starter = pathToFileURL(join(repository, "dist/distributed/spawn.js")).href;

/** Starts two processes that do what `code` says, where RANK is their number, and resolves with what the starter says. */
async function ranks(code: string, meanwhile: (child: ChildProcess, said: string) => void = () => {}) {
  const command = JSON.stringify([process.execPath, "-e", `const RANK = Number(process.env.RANK); ${code}`]);
  const program = `import { mayWorkAgain, spawnRanks } from ${JSON.stringify(starter)};
    const outcome = await spawnRanks({ command: ${command}, processes: 2 });
    console.log(JSON.stringify({ ...outcome, again: mayWorkAgain(outcome) }));`;
  const begun = performance.now();
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text: Buffer) => {
    stdout += text;
    meanwhile(child, stdout);
  });
  child.stderr.on("data", (text: Buffer) => {
    stderr += text;
  });
  await new Promise((resolve) => child.on("close", resolve));
  const lines = stdout.trimEnd().split("\n");
  const outcome = JSON.parse(lines.pop() ?? "");
  return { ...outcome, lines, stderr, seconds: (performance.now() - begun) / 1000 };
}

it("puts a rank's number before its lines, and gives rank 0 both outputs", async () => {
  const found = await ranks('console.log("out", RANK); console.error("err", RANK);');
  expect(found).toMatchObject({ code: 0, stopped: false, again: false, lines: ["out 0"] });
  expect(found.stderr.trimEnd().split("\n").sort()).toEqual(["[rank 1] err 1", "[rank 1] out 1", "err 0"]);
});

it("tells each where it is, and all the same of where rank 0 is", async () => {
  const names = "RANK LOCAL_RANK WORLD_SIZE MASTER_ADDR MASTER_PORT MEDMAMBA_JOB_TOKEN".split(" ");
  const found = await ranks(
    `console.error(${JSON.stringify(names)}.map((name) => process.env[name]).join());`,
  );
  const said = found.stderr.trimEnd().split("\n").sort();
  const [first, second] = said.map((line: string) => line.replace("[rank 1] ", "").split(",")).sort();
  expect(first.slice(0, 3)).toEqual(["0", "0", "2"]);
  expect(second.slice(0, 3)).toEqual(["1", "1", "2"]);
  expect(second.slice(3)).toEqual(first.slice(3));
  expect(first[5]).toMatch(/^[0-9a-f]{32}$/);
});

it.each([
  ["exits with a code", "process.exit(3)", { code: 3, again: false }],
  ["says that it may be tried again", "process.exit(75)", { code: 75, again: true }],
  ["was killed, as by a lack of memory", 'process.kill(process.pid, "SIGKILL")', { code: 75, again: true }],
])("ends as its first process that %s", async (_, code, outcome) => {
  expect(await ranks(`if (RANK === 1) ${code}`)).toMatchObject({ ...outcome, stopped: false });
});

it("does not wait for one that waits for another which is gone", async () => {
  const found = await ranks("RANK === 1 ? process.exit(1) : setTimeout(() => {}, 60_000)");
  expect(found).toMatchObject({ code: 1, again: false });
  expect(found.seconds).toBeLessThan(8);
});

it("passes signals on, each to every process once", async () => {
  const code = `
    process.on("SIGINT", () => { console.log("asked"); process.exitCode = 1; clearTimeout(stay); });
    const stay = setTimeout(() => {}, 60_000);
    setTimeout(() => console.log("ready"), 300);`;
  let asked = false;
  const found = await ranks(code, (child, said) => {
    if (!asked && said.includes("ready")) asked = child.kill("SIGINT");
  });
  expect(found).toMatchObject({ code: 1, stopped: true, again: false, lines: ["ready", "asked"] });
  expect(found.stderr.match(/^\[rank 1\] asked$/gm)).toHaveLength(1);
});

it("kills those that do not end when they are asked a second time", async () => {
  const code =
    'process.on("SIGTERM", () => console.log("no")); setInterval(() => {}, 1000); console.log("ready");';
  let sent = 0;
  const found = await ranks(code, (child, said) => {
    if (said.split("\n").length > 1 + sent && sent < 2) {
      sent += 1;
      setTimeout(() => child.kill("SIGTERM"), 300);
    }
  });
  expect(found).toMatchObject({ code: 128 + 9, stopped: true, again: false });
  expect(found.seconds).toBeLessThan(15);
});
