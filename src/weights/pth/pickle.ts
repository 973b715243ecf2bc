/**
 * Python's pickle: a program for a machine with a stack, which builds values and may name functions to be called with them. This
 * machine builds values and calls nothing of Python's: a function or class can only be one that the caller knows a meaning
 * of, and every other is refused by name before anything is made of it.
 *
 * A program may come from anywhere, so its operations, stack, memo and numbers are bounded, and a length is compared with
 * what is there before anything is read. Values refer to each other instead of being copied: nothing grows beyond the program.
 *
 * @see https://github.com/python/cpython/blob/main/Lib/pickletools.py, which describes each operation
 */

/** What a program builds. Lists and tuples are both arrays; keys of a dictionary may be anything. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | Callable
  | object;

/** A function or class of Python's with the meaning that it has here. */
export class Callable {
  constructor(
    /** As Python writes it, such as "collections.OrderedDict". */
    readonly name: string,
    /** What a call gives; throws a sentence without its end for arguments that it does not take. */
    readonly call: (parameters: PickleValue[]) => PickleValue,
  ) {}
}

/** What a program may refer to. */
export interface PickleReferences {
  /** The meaning of a function or class, or undefined where it has none here. */
  global(name: string): PickleValue | undefined;
  /** What lies outside the program under an id; throws an Error if there is no such thing. */
  persistent(id: PickleValue): PickleValue;
}

/** A function or class that has no meaning here. */
export class UnknownGlobal extends Error {
  constructor(
    /** As Python writes it, such as "os.system". */
    readonly global: string,
    /** Whether the program goes on to make an object of it without calling its constructor, as pickle does with classes. */
    readonly isClass: boolean,
  ) {
    super(`it refers to ${printable(global)}`);
  }
}

/** Some ten times what the largest networks have with the state of their optimiser. */
const most = { operations: 2_000_000, memo: 500_000, stack: 500_000, marks: 1000, numberBytes: 256 };
const newestProtocol = 5;

/** A piece of a file as a message shows it: cut where it is long, without what would steer a terminal. */
export function printable(text: string): string {
  const quoted = JSON.stringify(text).replace(/\p{C}/gu, "?");
  return quoted.length > 100 ? `${quoted.slice(0, 97)}..."` : quoted;
}

/**
 * Runs a program and gives the one value that it builds.
 *
 * @throws UnknownGlobal at the first function or class without a meaning; Error saying in a sentence without its end why the
 *   program is refused
 */
export function unpickle(program: Uint8Array, references: PickleReferences): PickleValue {
  return new Machine(program, references).run();
}

class Machine {
  private readonly view: DataView;
  private at = 0;
  private stack: PickleValue[] = [];
  /** Stacks that were put aside at a mark. */
  private readonly below: PickleValue[][] = [];
  private belowHeight = 0;
  private readonly memo = new Map<number, PickleValue>();
  private readonly text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(
    private readonly program: Uint8Array,
    private readonly references: PickleReferences,
  ) {
    this.view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  }

  run(): PickleValue {
    for (let operations = 0; ; ++operations) {
      if (operations >= most.operations) throw new Error(`it has more than ${most.operations} operations`);
      const code = this.unsigned(1);
      if (code === stop) break;
      const operation = operationsByCode[code];
      if (!operation)
        throw new Error(`it has the operation 0x${code.toString(16)}, which torch.save does not write`);
      operation(this);
      if (this.stack.length + this.belowHeight > most.stack)
        throw new Error(`its stack is higher than ${most.stack}`);
    }
    if (this.stack.length !== 1 || this.below.length > 0)
      throw new Error(`it ends with ${this.stack.length + this.belowHeight} values in place of one`);
    return this.pop();
  }

  // ---- bytes of the program

  bytes(length: number | bigint): Uint8Array {
    if (length > this.program.length - this.at) {
      throw new Error(
        `it is cut off: ${length} bytes are announced at byte ${this.at} of ${this.program.length}`,
      );
    }
    this.at += Number(length);
    return this.program.subarray(this.at - Number(length), this.at);
  }

  unsigned(width: 1 | 2 | 4): number {
    const at = this.at;
    this.bytes(width);
    if (width === 1) return this.view.getUint8(at);
    return width === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
  }

  unsigned64(): bigint {
    const at = this.at;
    this.bytes(8);
    return this.view.getBigUint64(at, true);
  }

  signed32(): number {
    return this.unsigned(4) | 0;
  }

  double(): number {
    const at = this.at;
    this.bytes(8);
    return this.view.getFloat64(at);
  }

  string(length: number | bigint): string {
    const encoded = this.bytes(length);
    try {
      return this.text.decode(encoded);
    } catch {
      throw new Error("it has a text that is not UTF-8");
    }
  }

  line(): string {
    const end = this.program.indexOf(10, this.at);
    if (end < 0) throw new Error(`it is cut off in a line at byte ${this.at}`);
    const line = this.string(end - this.at);
    this.at = end + 1;
    return line;
  }

  /** Two's complement of any width; a number where it is one exactly. */
  integer(width: number): number | bigint {
    if (width > most.numberBytes) throw new Error(`it has a number of ${width} bytes`);
    const bytes = this.bytes(width);
    if (width === 0) return 0;
    const magnitude = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
    const value = BigInt.asIntN(8 * width, magnitude);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  skip(length: bigint): void {
    if (length > this.program.length - this.at)
      throw new Error(`it is cut off in a frame at byte ${this.at}`);
  }

  // ---- stack and memo

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined) throw new Error("it takes a value from an empty stack");
    return value;
  }

  top(): PickleValue {
    const value = this.stack.at(-1);
    if (value === undefined) throw new Error("it takes a value from an empty stack");
    return value;
  }

  popMany(count: number): PickleValue[] {
    if (this.stack.length < count) throw new Error("it takes a value from an empty stack");
    return this.stack.splice(this.stack.length - count);
  }

  mark(): void {
    if (this.below.length >= most.marks) throw new Error(`it nests deeper than ${most.marks} levels`);
    this.below.push(this.stack);
    this.belowHeight += this.stack.length;
    this.stack = [];
  }

  popMark(): PickleValue[] {
    const above = this.stack;
    const below = this.below.pop();
    if (!below) throw new Error("it goes back to a mark that there is not");
    this.stack = below;
    this.belowHeight -= below.length;
    return above;
  }

  remember(index: number, value = this.top()): void {
    this.memo.set(index, value);
    if (this.memo.size > most.memo) throw new Error(`it remembers more than ${most.memo} values`);
  }

  rememberNext(): void {
    this.remember(this.memo.size);
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw new Error(`it refers to value ${index}, which there is not`);
    this.push(value);
  }

  // ---- containers, functions and classes

  append(values: PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw new Error("it appends to what is no list");
    for (const value of values) list.push(value);
  }

  setItems(pairs: PickleValue[]): void {
    const target = this.top();
    if (!(target instanceof Map)) throw new Error("it sets an item of what is no dictionary");
    if (pairs.length % 2 !== 0) throw new Error("it has a key without a value");
    for (let i = 0; i < pairs.length; i += 2)
      target.set(pairs[i] as PickleValue, pairs[i + 1] as PickleValue);
  }

  addItems(values: PickleValue[]): void {
    const set = this.top();
    if (!(set instanceof Set)) throw new Error("it adds to what is no set");
    for (const value of values) set.add(value);
  }

  global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== "string" || typeof name !== "string")
      throw new Error("it refers to a function whose name is no text");
    const whole = `${module}.${name}`;
    const known = this.references.global(whole);
    if (known === undefined) throw new UnknownGlobal(whole, this.makesObjectNext());
    this.push(known);
  }

  /** Whether the operations that follow are those by which pickle makes an object of a class without arguments. */
  private makesObjectNext(): boolean {
    const next = Buffer.from(this.program.subarray(this.at, this.at + 8)).toString("latin1");
    return /^(?:q.|r.{4}|\x94)?\)\x81/s.test(next);
  }

  call(): void {
    const parameters = this.pop();
    const callable = this.pop();
    if (!(callable instanceof Callable)) throw new Error("it calls what is no function");
    if (!Array.isArray(parameters)) throw new Error(`it calls ${callable.name} with what are no arguments`);
    this.push(callable.call(parameters));
  }

  /** Attributes of an object mean nothing here. */
  build(): void {
    this.pop();
    const target = this.top();
    if (typeof target !== "object" || target === null || Array.isArray(target))
      throw new Error("it sets attributes of what is no object");
  }

  persistent(): void {
    this.push(this.references.persistent(this.pop()));
  }
}

const stop = 0x2e;

/** By their codes; those that torch.save writes with the protocols 2 to 5. */
const operationsByCode: Readonly<Record<number, (machine: Machine) => void>> = {
  128: (machine) => {
    const protocol = machine.unsigned(1);
    if (protocol > newestProtocol) throw new Error(`it is of protocol ${protocol}, which is newer than 5`);
  },
  149: (machine) => machine.skip(machine.unsigned64()), // FRAME: how much to read at once
  // Constants
  78: (machine) => machine.push(null), // NONE
  136: (machine) => machine.push(true), // NEWTRUE
  137: (machine) => machine.push(false), // NEWFALSE
  74: (machine) => machine.push(machine.signed32()), // BININT
  75: (machine) => machine.push(machine.unsigned(1)), // BININT1
  77: (machine) => machine.push(machine.unsigned(2)), // BININT2
  138: (machine) => machine.push(machine.integer(machine.unsigned(1))), // LONG1
  139: (machine) => machine.push(machine.integer(machine.unsigned(4))), // LONG4
  71: (machine) => machine.push(machine.double()), // BINFLOAT
  88: (machine) => machine.push(machine.string(machine.unsigned(4))), // BINUNICODE
  140: (machine) => machine.push(machine.string(machine.unsigned(1))), // SHORT_BINUNICODE
  141: (machine) => machine.push(machine.string(machine.unsigned64())), // BINUNICODE8
  66: (machine) => machine.push(machine.bytes(machine.unsigned(4))), // BINBYTES
  67: (machine) => machine.push(machine.bytes(machine.unsigned(1))), // SHORT_BINBYTES
  142: (machine) => machine.push(machine.bytes(machine.unsigned64())), // BINBYTES8
  150: (machine) => machine.push(machine.bytes(machine.unsigned64())), // BYTEARRAY8
  // Containers
  40: (machine) => machine.mark(), // MARK
  48: (machine) => machine.pop(), // POP
  49: (machine) => machine.popMark(), // POP_MARK
  93: (machine) => machine.push([]), // EMPTY_LIST
  97: (machine) => machine.append([machine.pop()]), // APPEND
  101: (machine) => machine.append(machine.popMark()), // APPENDS
  41: (machine) => machine.push([]), // EMPTY_TUPLE
  116: (machine) => machine.push(machine.popMark()), // TUPLE
  133: (machine) => machine.push(machine.popMany(1)), // TUPLE1
  134: (machine) => machine.push(machine.popMany(2)), // TUPLE2
  135: (machine) => machine.push(machine.popMany(3)), // TUPLE3
  125: (machine) => machine.push(new Map()), // EMPTY_DICT
  115: (machine) => machine.setItems(machine.popMany(2)), // SETITEM
  117: (machine) => machine.setItems(machine.popMark()), // SETITEMS
  143: (machine) => machine.push(new Set()), // EMPTY_SET
  144: (machine) => machine.addItems(machine.popMark()), // ADDITEMS
  145: (machine) => machine.push(new Set(machine.popMark())), // FROZENSET
  // Memo
  113: (machine) => machine.remember(machine.unsigned(1)), // BINPUT
  114: (machine) => machine.remember(machine.unsigned(4)), // LONG_BINPUT
  148: (machine) => machine.rememberNext(), // MEMOIZE
  104: (machine) => machine.recall(machine.unsigned(1)), // BINGET
  106: (machine) => machine.recall(machine.unsigned(4)), // LONG_BINGET
  // Functions and classes
  99: (machine) => machine.global(machine.line(), machine.line()), // GLOBAL
  147: (machine) => {
    const [module, name] = machine.popMany(2);
    machine.global(module as PickleValue, name as PickleValue); // STACK_GLOBAL
  },
  82: (machine) => machine.call(), // REDUCE
  129: (machine) => machine.call(), // NEWOBJ
  98: (machine) => machine.build(), // BUILD
  81: (machine) => machine.persistent(), // BINPERSID
};
