import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 180_000,
    // Kernels use every core already: files side by side would only measure each other.
    fileParallelism: false,
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/vitest.json" }]] : ["default"],
  },
});
