/**
 * What goes over a connection between ranks: frames of a kind and bytes. A length is written in front, and believed only as a
 * bound: memory is taken for what has come.
 */

/** Kinds of frames. */
export const frameKinds = {
  /** From rank 0, first: bytes that the other has to answer for. */
  challenge: 1,
  /** Who somebody is, and the proof that they are of the job. */
  hello: 2,
  /** The proof that this is rank 0. */
  welcome: 3,
  /** Why somebody is not taken. */
  refusal: 4,
  /** Everybody is there. */
  complete: 5,
  /** Still alive. */
  pulse: 6,
  /** What one rank gives to a common call. */
  part: 7,
  /** What comes of it. */
  answer: 8,
  /** Something went wrong on one rank, which all shall hear of. */
  failure: 9,
  /** A rank is done. */
  bye: 10,
  /** The job ends, and why. */
  end: 11,
} as const;

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

export interface Frame {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

/** Bytes of a frame before it is known who sends it. */
export const strangersLimit = 2048;
/** Bytes of any frame: the gradients of a model several times as large as the largest. */
export const frameLimit = 2 ** 30;

const headerBytes = 5;

/** Header and content, to be written one after the other. */
export function frameHeader(kind: FrameKind, length: number): Uint8Array {
  const header = new Uint8Array(headerBytes);
  new DataView(header.buffer).setUint32(0, length, true);
  header[4] = kind;
  return header;
}

/** Takes pieces of a connection, however it cuts them, and gives frames. */
export class FrameReader {
  /** Bytes that a frame may have. */
  limit = strangersLimit;
  #pieces: Uint8Array[] = [];
  #length = 0;

  /**
   * @returns the frames that are whole now
   * @throws RangeError for a frame that says it is longer than the limit, or of no kind that there is
   */
  *take(piece: Uint8Array): Generator<Frame, void, undefined> {
    if (piece.length > 0) this.#pieces.push(piece);
    this.#length += piece.length;
    while (this.#length >= headerBytes) {
      const header = this.#peek(headerBytes);
      const length = new DataView(header.buffer, header.byteOffset).getUint32(0, true);
      const kind = header[4] as number;
      if (length > this.limit || kind < frameKinds.challenge || kind > frameKinds.end)
        throw new RangeError("these bytes are no frame");
      if (this.#length < headerBytes + length) return;
      const whole = this.#peek(headerBytes + length);
      this.#drop(headerBytes + length);
      yield { kind, bytes: whole.subarray(headerBytes) };
    }
  }

  /** The first bytes, in one piece. */
  #peek(count: number): Uint8Array {
    const [first] = this.#pieces;
    if (first && first.length >= count) return first.subarray(0, count);
    const whole = new Uint8Array(count);
    let at = 0;
    for (const piece of this.#pieces) {
      const some = piece.subarray(0, count - at);
      whole.set(some, at);
      at += some.length;
      if (at === count) break;
    }
    return whole;
  }

  #drop(count: number): void {
    this.#length -= count;
    let left = count;
    while (left > 0) {
      const first = this.#pieces[0] as Uint8Array;
      if (first.length > left) {
        this.#pieces[0] = first.subarray(left);
        return;
      }
      this.#pieces.shift();
      left -= first.length;
    }
  }
}

const text = new TextEncoder();

/** JSON as bytes. */
export const encoded = (value: unknown): Uint8Array => text.encode(JSON.stringify(value ?? null));

/** @throws SyntaxError for bytes that are no JSON */
export const decoded = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/** A common call's number and name before what a rank gives to it. */
export function packPart(number: number, name: string, bytes: Uint8Array): Uint8Array {
  const title = text.encode(name);
  const packed = new Uint8Array(5 + title.length + bytes.length);
  new DataView(packed.buffer).setUint32(0, number, true);
  packed[4] = title.length;
  packed.set(title, 5);
  packed.set(bytes, 5 + title.length);
  return packed;
}

/** @throws RangeError for bytes that are none */
export function unpackPart(packed: Uint8Array): { number: number; name: string; bytes: Uint8Array } {
  const length = packed[4] ?? 0;
  if (packed.length < 5 + length) throw new RangeError("these bytes are no part");
  const number = new DataView(packed.buffer, packed.byteOffset).getUint32(0, true);
  const name = new TextDecoder().decode(packed.subarray(5, 5 + length));
  return { number, name, bytes: packed.subarray(5 + length) };
}

/** Several stretches of bytes as one. */
export function packList(parts: readonly Uint8Array[]): Uint8Array {
  const total = parts.reduce((sum, { length }) => sum + 4 + length, 0);
  const packed = new Uint8Array(total);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    packed.set(part, at + 4);
    at += 4 + part.length;
  }
  return packed;
}

/** @throws RangeError for bytes that are none */
export function unpackList(packed: Uint8Array): Uint8Array[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < packed.length; ) {
    const end = at + 4 + view.getUint32(at, true);
    if (end > packed.length) throw new RangeError("these bytes are no list");
    parts.push(packed.subarray(at + 4, end));
    at = end;
  }
  return parts;
}
