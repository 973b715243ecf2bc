/** Processes that join, work together, and lose each other. */
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { freePort } from "../../src/distributed/spawn.js";
import { distributed, tensor } from "../../src/index.js";
import { type RankOutcome, ranks } from "../support/ranks.js";

const codes = (outcomes: readonly RankOutcome[]) => outcomes.map(({ code }) => code);

describe("a group", () => {
  it.each([2, 3])("of %i gathers, adds up in the order of ranks, and broadcasts", async (worldSize) => {
    // The clocks of machines need not agree.
    const clock = "data:text/javascript,const now = Date.now; Date.now = () => now() - 4e10;";
    const environment = (rank: number): Record<string, string> =>
      rank === 1 ? { NODE_OPTIONS: `--import "${clock}"` } : {};
    const outcomes = await ranks("group", [], { worldSize, environment });
    expect(codes(outcomes), outcomes.map(({ stderr }) => stderr).join("")).toEqual(Array(worldSize).fill(0));
    const everyone = Array.from({ length: worldSize }, (_, rank) => ({ rank, worldSize }));
    for (const { lines } of outcomes) {
      const [gathered, sum, own, reduction] = lines.map((line) => JSON.parse(line));
      expect(gathered).toEqual(everyone);
      // In another order the 1 of rank 2 would be lost.
      expect(sum).toEqual(worldSize === 2 ? [3, 0] : [6, 1]);
      expect(own).toEqual([worldSize - 1, worldSize - 0.5]);
      expect(reduction).toMatchObject({ worldSize, engine: "tcp", reduction: "rank order" });
    }
  });

  it("says who did not come", async () => {
    const outcomes = await ranks("group", [], {
      worldSize: 4,
      ranks: [0, 2],
      environment: { PATIENCE: "2" },
    });
    expect(codes(outcomes)).toEqual([1, 1]);
    for (const { stderr } of outcomes) expect(stderr).toContain("only ranks 0, 2 of 4 came within 2 seconds");
  });

  it("says that nobody listens", async () => {
    const [outcome] = await ranks("group", [], { worldSize: 2, ranks: [1], environment: { PATIENCE: "1" } });
    expect(outcome?.stderr).toMatch(
      /rank 1 found no rank 0 of its job on port \d+ of 127\.0\.0\.1 within 1 sec/,
    );
  });

  it("says where ranks make different calls", async () => {
    const outcomes = await ranks("group", ["astray"], { worldSize: 2 });
    expect(codes(outcomes)).toEqual([1, 1]);
    for (const { stderr } of outcomes) expect(stderr).toContain('rank 1 is at "barrier", rank 0 at "gather"');
  });

  it("says that a rank has left which is waited for", async () => {
    const [first] = await ranks("group", ["leave"], { worldSize: 2 });
    expect(first?.code).toBe(1);
    expect(first?.stderr).toContain('rank 1 has left, while rank 0 waits for it at "gather"');
  });

  it("keeps a process out that does not know the token", async () => {
    const port = await freePort();
    const address = { host: "127.0.0.1", port };
    const [insiders, strangers] = await Promise.all([
      ranks("group", [], { worldSize: 2, address, ranks: [0], environment: { PATIENCE: "3" } }),
      ranks("group", [], {
        worldSize: 2,
        address,
        ranks: [1],
        environment: { PATIENCE: "2", MEDMAMBA_JOB_TOKEN: "another" },
      }),
    ]);
    expect(strangers[0]?.stderr).toContain("it is of another job, or has another MEDMAMBA_JOB_TOKEN");
    expect(insiders[0]?.stderr).toContain("only rank 0 of 2 came");
  });

  it("is not held up by strangers who send anything, or nothing", async () => {
    const port = await freePort();
    let shouting: NodeJS.Timeout | undefined;
    const noise = () => {
      const socket = connect({ port }, () => {
        socket.write(Math.random() < 0.5 ? "GET / HTTP/1.1\r\n\r\n" : Buffer.alloc(100_000, 0xff));
      });
      socket.on("error", () => {});
    };
    try {
      shouting = setInterval(noise, 20);
      const outcomes = await ranks("group", [], { worldSize: 2, address: { host: "127.0.0.1", port } });
      expect(codes(outcomes), outcomes.map(({ stderr }) => stderr).join("")).toEqual([0, 0]);
    } finally {
      clearInterval(shouting);
    }
  });

  it.each([
    ["killed", "SIGKILL", 1, 2000, / is gone: its process has ended/],
    ["killed, being rank 0", "SIGKILL", 0, 2000, / is gone: its process has ended/],
    ["frozen", "SIGSTOP", 1, 10_000, / has not been heard of for 8 seconds/],
  ] as const)(
    "ends with a sentence and code 75 when a rank is %s",
    async (_, signal, victim, limit, sentence) => {
      let ready = 0;
      let at = 0;
      let target = 0;
      const outcomes = await ranks("group", ["hold"], {
        worldSize: 3,
        onLine: (rank, line, child) => {
          if (line === '"ready"') ready += 1;
          if (rank === victim) target = child.pid as number;
          if (ready < 3) return;
          at = performance.now();
          process.kill(target, signal);
          if (signal === "SIGSTOP") setTimeout(() => process.kill(target, "SIGKILL"), 11_000);
        },
      });
      for (const { rank, code, stderr } of outcomes) {
        if (rank === victim) continue;
        expect(stderr).toMatch(sentence);
        expect(code).toBe(75);
      }
      const survivors = outcomes.filter(({ rank }) => rank !== victim);
      expect(Math.max(...survivors.map(({ at }) => at)) - at).toBeLessThan(limit);
    },
  );
});

describe("a group of one", () => {
  it("does everything at once", async () => {
    const group = await distributed.init();
    const values = tensor(Float32Array.of(1, 2), [2]);
    await group.sum(values);
    await group.broadcast(values);
    await group.barrier();
    expect(await group.gather({ a: 1 })).toEqual([{ a: 1 }]);
    expect([...(await values.data())]).toEqual([1, 2]);
    expect(group).toMatchObject({ rank: 0, worldSize: 1 });
    await expect(distributed.init()).rejects.toThrow("in a group already");
    await group.close();
    await expect(group.barrier()).rejects.toThrow("after it was closed");
    values.dispose();
  });

  it.each([
    [{ rank: 2, worldSize: 2 }, /rank 2 is not below worldSize 2/],
    [{ rank: 0, worldSize: 2, address: "nowhere" }, /address "nowhere" is not "host:port"/],
    [{ worldSize: 2 }, /worldSize was given, but no rank/],
    [{ engine: "gloo" }, /there is no engine "gloo"/],
    [{ patience: -1 }, /patience -1 is no number of seconds/],
    [{ ranks: 2 }, /rank/],
  ])("is refused as %j", async (options, sentence) => {
    await expect(distributed.init(options as object)).rejects.toThrow(sentence);
  });
});
