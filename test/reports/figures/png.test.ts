/** Whether a machine can letter PNG is found out by drawing: one without fonts draws every letter alike. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repository } from "../../support/repository.js";
import { write } from "../../support/temporary-folder.js";

const asked = `import { hasLettering } from ${JSON.stringify(
  join(repository, "dist", "reports", "figures", "png.js"),
)}; console.log(await hasLettering());`;
const answer = (env: NodeJS.ProcessEnv) =>
  spawnSync(process.execPath, ["--input-type=module", "-e", asked], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  }).stdout.trim();

it.skipIf(process.platform !== "linux")(
  "is known where there are fonts, and where there are none",
  async () => {
    const none = "<fontconfig><dir>/nowhere</dir><cachedir>/nowhere</cachedir></fontconfig>";
    const settings = await write(
      "fonts.conf",
      `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">${none}`,
    );
    expect(answer({ FONTCONFIG_FILE: settings })).toBe("false");
    expect(answer({})).toBe("true");
  },
);
