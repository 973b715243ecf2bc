/** What Windows refuses of a file that somebody has open, tried again; test/runtimes/windows.test.ts has files that are held. */
import { expect, it, vi } from "vitest";
import { whileHeld } from "../../src/files/held-files.js";

/** An action that is refused some times before it succeeds. */
function refused(times: number, code: string) {
  return vi.fn(async () => {
    if (times-- > 0) throw Object.assign(new Error(`${code}: refused`), { code });
    return "done";
  });
}

it.each(["EPERM", "EACCES", "EBUSY"])("%s is tried again on Windows", async (code) => {
  const action = refused(3, code);
  await expect(whileHeld(action, { system: "win32" })).resolves.toBe("done");
  expect(action).toHaveBeenCalledTimes(4);
});

it("is not tried again elsewhere, nor what is refused for another reason", async () => {
  for (const [system, code] of [
    ["linux", "EPERM"],
    ["darwin", "EBUSY"],
    ["win32", "ENOENT"],
    ["win32", "ENOSPC"],
  ] as const) {
    const action = refused(1, code);
    await expect(whileHeld(action, { system })).rejects.toThrow(`${code}: refused`);
    expect(action).toHaveBeenCalledOnce();
  }
});

it("is not tried for ever", async () => {
  const action = refused(Infinity, "EPERM");
  const begun = performance.now();
  await expect(whileHeld(action, { system: "win32", patience: 100 })).rejects.toThrow("EPERM: refused");
  expect(performance.now() - begun).toBeLessThan(2000);
  expect(action.mock.calls.length).toBeGreaterThan(2);
});
