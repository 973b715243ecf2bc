/** The numbers that operations are called with, from the addon itself, so that C++ alone says what they are. */
import type { NativeConstants } from "./addon.js";
import { loadAddon } from "./load.js";

/**
 * Loads the addon if it is not there yet: to be asked when something is called, not when a module is imported.
 *
 * @throws AddonError if it cannot be loaded
 */
export function constants(): NativeConstants {
  return loadAddon().constants;
}
