/** Processes that work together on several GPUs and machines. */
export type { EngineChoice } from "./connection.js";
export type { Communicator, EngineName, Reduction } from "./engine.js";
export type { Carriage, Group, Place } from "./group.js";
export { type InitOptions, init } from "./init.js";
