/** Files from a server of this test's own that breaks off, lies and refuses, as servers and networks do. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { fetchFile, RemoteFileError } from "../../src/files/remote-file.js";
import { root } from "../support/temporary-folder.js";

const contents = Buffer.from(Uint32Array.from({ length: 100_000 }, (_, i) => i * 2654435761).buffer);
const md5 = createHash("md5").update(contents).digest("hex");

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** An address whose requests are answered in turn, the last way for all that follow, and what was asked for. */
async function serve(...answers: Answer[]): Promise<{ url: string; ranges: (string | undefined)[] }> {
  const ranges: (string | undefined)[] = [];
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answers[Math.min(ranges.length, answers.length) - 1]?.(request, response);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/set.npz`, ranges };
}

/** As servers do that know ranges. @param most  bytes after which the connection breaks off */
const whole =
  (most = Infinity): Answer =>
  ({ headers }, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
    if (start >= contents.length) {
      response.writeHead(416, { "content-range": `bytes */${contents.length}` }).end();
      return;
    }
    const rest = contents.subarray(start);
    response.writeHead(headers.range ? 206 : 200, {
      "content-length": rest.length,
      ...(headers.range && { "content-range": `bytes ${start}-${contents.length - 1}/${contents.length}` }),
    });
    if (rest.length <= most) response.end(rest);
    else response.write(rest.subarray(0, most), () => setTimeout(() => response.destroy(), 50));
  };
const plainly: Answer = (_, response) => response.writeHead(200).end(contents);
const saying =
  (status: number, type = "text/plain"): Answer =>
  (_, response) =>
    response.writeHead(status, { "content-type": type }).end("<html>Log in</html>");

let count = 0;
const place = () => join(root, `set-${++count}.npz`);

async function refusal(promise: Promise<unknown>): Promise<RemoteFileError> {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RemoteFileError);
  return error as RemoteFileError;
}

describe("fetchFile", () => {
  it("gets a file, and says how far it is", async () => {
    const { url } = await serve(whole());
    const [path, seen] = [place(), [] as number[]];
    const bytes = await fetchFile({
      url,
      path,
      md5,
      onProgress: ({ bytes, total }) => {
        expect(total).toBe(contents.length);
        seen.push(bytes);
      },
    });
    expect(bytes).toBe(contents.length);
    expect((await readFile(path)).equals(contents)).toBe(true);
    expect(seen.at(-1)).toBe(contents.length);
    expect(existsSync(`${path}.part`)).toBe(false);
  });

  it("goes on where the connection broke off, within a call and in the next one", async () => {
    const { url, ranges } = await serve(whole(100_000), whole(50_000), whole());
    const path = place();
    await fetchFile({ url, path, md5 });
    expect((await readFile(path)).equals(contents)).toBe(true);
    expect(ranges).toEqual([undefined, "bytes=100000-", "bytes=150000-"]);

    await writeFile(`${path}.part`, contents.subarray(0, 300_000));
    await fetchFile({ url, path, md5 });
    expect(ranges.at(-1)).toBe("bytes=300000-");
    await writeFile(`${path}.part`, contents); // All of it had come, and nothing else been done.
    expect(await fetchFile({ url, path, md5 })).toBe(contents.length);
    expect((await readFile(path)).equals(contents)).toBe(true);
  });

  it("begins again at a server without ranges, or with what is longer than the file", async () => {
    const path = place();
    await writeFile(`${path}.part`, contents.subarray(0, 1000));
    await fetchFile({ url: (await serve(plainly)).url, path, md5 });
    expect((await readFile(path)).equals(contents)).toBe(true);
    await writeFile(`${path}.part`, Buffer.concat([contents, contents]));
    await fetchFile({ url: (await serve(whole())).url, path, md5 });
    expect((await readFile(path)).equals(contents)).toBe(true);
  });

  it("keeps nothing of another checksum, and an earlier file as it was", async () => {
    const { url } = await serve(whole());
    const path = place();
    await writeFile(path, "earlier");
    const wrong = "0".repeat(32);
    expect((await refusal(fetchFile({ url, path, md5: wrong }))).message).toBe(
      `its MD5 is ${md5} and should be ${wrong}`,
    );
    expect(await readFile(path, "utf8")).toBe("earlier");
    expect(existsSync(`${path}.part`)).toBe(false);
  });

  it("says what a server answers, and keeps what had come", async () => {
    const path = place();
    const missing = await refusal(fetchFile({ url: (await serve(saying(404))).url, path, md5 }));
    expect([missing.message, missing.kept]).toEqual(["the server answers 404 Not Found", 0]);
    expect(existsSync(`${path}.part`)).toBe(false);
    const login = await refusal(fetchFile({ url: (await serve(saying(200, "text/html"))).url, path, md5 }));
    expect(login.message).toMatch(/a web page came in its place/);
    const broken = await refusal(fetchFile({ url: (await serve(whole(1000), saying(503))).url, path, md5 }));
    expect([broken.message, broken.kept]).toEqual(["the server answers 503 Service Unavailable", 1000]);
    expect((await stat(`${path}.part`)).size).toBe(1000);
  });

  it("says that there is no connection, and gives up where nothing comes any more", {
    timeout: 20_000,
  }, async () => {
    const { url } = await serve(whole());
    server?.close();
    server?.closeAllConnections();
    expect((await refusal(fetchFile({ url, path: place(), md5 }))).message).toMatch(/ECONNREFUSED/);
    const dead = await serve(whole(0));
    expect((await refusal(fetchFile({ url: dead.url, path: place(), md5 }))).message).toMatch(
      /the connection ended/,
    );
    expect(dead.ranges).toHaveLength(3);
  });

  it("stops when it is told to, and goes on later", async () => {
    const { url, ranges } = await serve(whole(100_000), whole());
    const path = place();
    const controller = new AbortController();
    const stopped = fetchFile({
      url,
      path,
      md5,
      signal: controller.signal,
      onProgress: () => controller.abort("enough"),
    });
    expect(await stopped.catch((reason: unknown) => reason)).toBe("enough");
    const { size } = await stat(`${path}.part`);
    expect(size).toBeGreaterThan(0);
    await fetchFile({ url, path, md5 });
    expect(ranges.at(-1)).toBe(`bytes=${size}-`);
    expect((await readFile(path)).equals(contents)).toBe(true);
  });
});
