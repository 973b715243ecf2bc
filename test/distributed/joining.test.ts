/** Who is let in, who is not, and who cannot keep the others out: rank 0 and another in one process, beside raw connections. */
import type { Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Control } from "../../src/distributed/control.js";
import {
  encoded,
  frameHeader,
  frameKinds,
  frameLimit,
  packPart,
  strangersLimit,
} from "../../src/distributed/frames.js";
import { ownAddresses } from "../../src/distributed/meeting.js";
import { freePort } from "../../src/distributed/spawn.js";
import { comeAs, frame, introduction, join, listen, reach, welcomeRank } from "../support/joining.js";

const sockets: Socket[] = [];
const controls: Control[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const control of controls.splice(0)) await control.close();
});

async function joined(...joining: readonly Promise<Control>[]): Promise<Control[]> {
  const all = await Promise.all(joining);
  controls.push(...all);
  return all;
}

describe("rank 0 refuses", () => {
  it.each([
    [
      { version: "0.0.1" },
      /^rank 1 \(process 4711 on gpu2\) has version 0\.0\.1 of this package, rank 0 has /,
    ],
    [
      { worldSize: 3 },
      /^rank 1 \(process 4711 on gpu2\) was told of 3 processes, rank 0 of 2: start all with the/,
    ],
    [
      { rank: 0 },
      /^rank 0 \(process 4711 on gpu2\) has the rank of rank 0 \(process \d+ on .*\): give every process/,
    ],
    [
      { rank: 7 },
      /^rank 7 \(process 4711 on gpu2\) has the rank of nobody: give every process a rank of its own, from 0 to 1/,
    ],
  ])("one of the job that says %j, for all", async (changes, sentence) => {
    const port = await freePort();
    const first = join(port, { rank: 0 });
    first.catch(() => {});
    sockets.push(await comeAs(introduction(changes), port));
    await expect(first).rejects.toThrow(sentence);
  });

  it("a second one of a rank", async () => {
    const port = await freePort();
    const first = join(port, { rank: 0, worldSize: 3 });
    first.catch(() => {});
    for (const pid of [1, 2]) sockets.push(await comeAs(introduction({ pid, worldSize: 3 }), port));
    await expect(first).rejects.toThrow(
      "rank 1 (process 2 on gpu2) has the rank of rank 1 (process 1 on gpu2): give every process",
    );
  });

  it("a port that another process has", async () => {
    const { port, server } = await listen(() => {});
    await expect(join(port, { rank: 0 })).rejects.toMatchObject({
      message: `rank 0 cannot listen on port ${port} of 127.0.0.1: another process has it. Choose another by MASTER_PORT, or wait for the job that has it.`,
      tryAgain: true,
    });
    server.close();
  });
});

describe("joining", () => {
  it("is not held up by many who say nothing, or never all, and who come again", async () => {
    const port = await freePort();
    const first = join(port, { rank: 0 });
    let holding = true;
    const hold = async (): Promise<void> => {
      while (holding) {
        const socket = (await reach(port)).resume();
        sockets.push(socket);
        socket.write(frameHeader(frameKinds.hello, strangersLimit));
        const trickle = setInterval(() => socket.write(Uint8Array.of(0)), 50);
        await new Promise((resolve) => socket.once("close", resolve));
        clearInterval(trickle);
      }
    };
    const strangers = Array.from({ length: 150 }, hold);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const begun = performance.now();
    await joined(first, join(port, { rank: 1 }));
    expect(performance.now() - begun).toBeLessThan(2500);
    holding = false;
    for (const socket of sockets) socket.destroy();
    await Promise.race([Promise.all(strangers), new Promise((resolve) => setTimeout(resolve, 500))]);
  });

  it("believes no length that a stranger says, and lets a rank send no more than the largest", async () => {
    const port = await freePort();
    const first = join(port, { rank: 0 });
    const stranger = (await reach(port)).resume();
    const before = process.memoryUsage().rss;
    stranger.write(Uint8Array.of(0xff, 0xff, 0xff, 0x3f, frameKinds.hello));
    await new Promise((resolve) => stranger.once("close", resolve));
    const tooLong = new Uint8Array(5);
    new DataView(tooLong.buffer).setUint32(0, frameLimit + 1, true);
    tooLong[4] = frameKinds.part;
    const member = await comeAs(introduction(), port, tooLong);
    sockets.push(member);
    const [control] = await joined(first);
    await expect(control?.failed).rejects.toThrow("rank 1 (process 4711 on gpu2) is gone");
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 28);
  });

  it("goes on after one who does not know the token, as often as it tries", async () => {
    const port = await freePort();
    const first = join(port, { rank: 0 });
    const other = join(port, { rank: 1, token: "another", patience: 0.5 });
    await expect(other).rejects.toThrow(
      /^rank 1 found no rank 0 of its job on port \d+ of 127\.0\.0\.1 within 0\.5 seconds: it is of another job, or has another MEDMAMBA_JOB_TOKEN\.$/,
    );
    await joined(first, join(port, { rank: 1 }));
  });

  it.each([
    ["says nothing", () => {}, "what answers there does not say who it is"],
    [
      "says a little at a time",
      (socket: Socket) => setInterval(() => socket.write("\0"), 20).unref(),
      "what answers",
    ],
    ["is another program", (socket: Socket) => socket.write("220 mail ESMTP\r\n"), "speaks another language"],
    [
      "pretends",
      (socket: Socket) =>
        socket.write(frame(frameKinds.welcome, encoded({ ...introduction(), proof: "00" }))),
      "speaks another language",
    ],
  ] as const)("ends in time where what listens %s", async (_, welcome, sentence) => {
    const { port, server } = await listen(welcome);
    await expect(join(port, { rank: 1, patience: 0.5 })).rejects.toThrow(sentence);
    server.close();
  });

  it("begins anew where rank 0 freezes before all are there", async () => {
    let times = 0;
    const { port, server } = await listen((socket) => {
      times += 1;
      welcomeRank(socket);
    });
    await expect(join(port, { rank: 1, worldSize: 3, patience: 1 })).rejects.toThrow(
      "rank 1 found no rank 0",
    );
    expect(times).toBe(1);
    server.close();
  });

  it("says what is wrong with a name that nobody knows, and tries others of that machine", async () => {
    const port = await freePort();
    const address = { host: "nowhere.invalid", port };
    const news: string[] = [];
    const onWaiting = (one: string) => news.push(one);
    await expect(join(port, { rank: 1, address, patience: 1, onWaiting })).rejects.toThrow(
      /getaddrinfo \w+ nowhere/,
    );
    expect(news).toEqual([
      expect.stringMatching(
        /^rank 1 looks for rank 0 on port \d+ of nowhere\.invalid, for at most 1 seconds: getaddrinfo/,
      ),
    ]);
    const others = ["127.0.0.1"];
    await joined(join(port, { rank: 0 }), join(port, { rank: 1, address: { ...address, others } }));
    expect(ownAddresses().at(-1)).toBe("127.0.0.1");
  });

  it("says for whom rank 0 waits", async () => {
    const news: string[] = [];
    const onWaiting = (one: string) => news.push(one);
    const port = await freePort();
    await expect(join(port, { rank: 0, worldSize: 3, patience: 0.4, onWaiting })).rejects.toThrow(
      "only rank 0 of 3",
    );
    expect(news).toEqual([`rank 0 waits for ranks 1, 2 of 3 on port ${port}, for at most 0.4 seconds.`]);
  });
});

describe("a common call", () => {
  it.each([
    ["one that is over", packPart(7, "gather", encoded(1)), "gave to call 7, where 0 is the next"],
    ["none", Uint8Array.of(0, 0, 0, 0, 99), "these bytes are no part"],
  ])("fails where a rank gives to %s", async (_, part, sentence) => {
    const port = await freePort();
    const first = join(port, { rank: 0 });
    sockets.push(await comeAs(introduction(), port, frame(frameKinds.part, part)));
    const [control] = await joined(first);
    await expect(control?.exchange("gather", encoded(0))).rejects.toThrow(
      `what came from another rank is damaged: ${sentence.includes("gave") ? "rank 1 " : ""}${sentence}`,
    );
  });
});
