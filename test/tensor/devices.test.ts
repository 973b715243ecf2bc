/** Devices by name: which are shared, which are of their own, and what closing one means for those who ask again. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { openDeviceOf, openTrainingDevice } from "../../src/cli/console/options.js";
import { devices, memory, openDevice } from "../../src/index.js";
import type { Device } from "../../src/tensor/device.js";
import { resolveDevice } from "../../src/tensor/devices.js";

const hasGpu = devices().some(({ name, usable }) => name !== "cpu" && usable);

describe("a device by name", () => {
  it("is one device, under all its names", () => {
    expect(resolveDevice("cpu")).toBe(resolveDevice("cpu:0"));
    expect(resolveDevice()).toBe(resolveDevice("cpu", "float32"));
    expect(openDevice("cpu")).not.toBe(openDevice("cpu"));
  });

  it("is opened anew after it was closed, under all its names", () => {
    const first = resolveDevice("cpu");
    expect(resolveDevice("cpu:0")).toBe(first);
    first.close();
    const second = resolveDevice("cpu:0");
    expect(second).not.toBe(first);
    expect(resolveDevice("cpu")).toBe(second);
    first.close();
    expect(resolveDevice("cpu")).toBe(second);
    expect(memory().tensors).toBe(0);
  });

  it("stays shared when one of its own is closed", () => {
    const shared = resolveDevice("cpu");
    openDevice("cpu").close();
    expect(resolveDevice("cpu")).toBe(shared);
  });

  it.skipIf(hasGpu)('is the CPU for "auto" without a GPU, shared or of its own', () => {
    expect(resolveDevice("auto")).toBe(resolveDevice("cpu"));
    const own = openDevice("auto", { threads: 1 });
    expect(own.describe()).toMatchObject({ name: "cpu", threads: 1 });
    expect(own).not.toBe(resolveDevice("auto"));
    own.close();
  });
});

describe("--threads", () => {
  const opened: Device[] = [];
  const open = (device: Device) => {
    opened.push(device);
    return device;
  };
  afterEach(() => {
    for (const device of opened.splice(0)) device.close();
    vi.restoreAllMocks();
  });

  it.each([
    ["openDeviceOf", openDeviceOf],
    ["openTrainingDevice", (options: { device: string }) => openTrainingDevice(options, undefined)],
  ])("goes to a device of the command's own, not to the environment: %s", (_, openWith) => {
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const before = process.env.MEDMAMBA_THREADS;
    for (const device of hasGpu ? ["cpu"] : ["cpu", "auto"]) {
      const own = open(openWith({ device, threads: 1 }));
      expect(own.describe().threads).toBe(1);
      expect(own).not.toBe(resolveDevice("cpu"));
    }
    expect(process.env.MEDMAMBA_THREADS).toBe(before);
  });

  it("left away gives the shared device", () => {
    expect(openDeviceOf({ device: "cpu" })).toBe(resolveDevice("cpu"));
  });
});
