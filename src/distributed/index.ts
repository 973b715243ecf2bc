/** Processes that work together on several GPUs and machines. */
export type { EngineChoice } from "./connection.js";
export { type Carriage, Group, type Place } from "./group.js";
export { type InitOptions, init } from "./init.js";
export { type Address, type Launch, launchOf } from "./launch.js";
