/** Makes a test file into one program for any runtime: `dist` in the place of `src`, plain-runner.ts in that of vitest. */
import { join, relative } from "node:path";
import { build, type Plugin } from "esbuild";
import { repository } from "../support/repository.js";

/** What is built is what runs, as a user's program would import it. */
const builtPackage: Plugin = {
  name: "dist in the place of src",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
      const below = relative(join(repository, "src"), join(resolveDir, path));
      return below.startsWith("..") ? undefined : { path: join(repository, "dist", below), external: true };
    });
  },
};

/**
 * @param file  relative to the repository
 * @returns     path of the program, whose place lets test/support/repository.ts find the repository
 */
export async function bundleTests(file: string): Promise<string> {
  const program = join(repository, "build/runtimes", file.replace(/.*\/(.*)\.test\.ts$/, "$1.mjs"));
  const runner = join(repository, "test/runtimes/plain-runner.ts");
  await build({
    stdin: {
      contents: `import ${JSON.stringify(join(repository, file))}; import { finish } from "vitest"; await finish();`,
      resolveDir: repository,
    },
    bundle: true,
    platform: "node",
    format: "esm",
    alias: { vitest: runner },
    plugins: [builtPackage],
    outfile: program,
  });
  return program;
}
