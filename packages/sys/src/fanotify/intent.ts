/**
 * What a thread that waits for a permission is about to do. Events do not say it, but its system call does: /proc shows the
 * number and the arguments, which stand in registers and cannot change while it waits.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { O_TRUNC } from '../constants/file.ts';

/** `harmless`: no file becomes shorter. Otherwise the length that the file is to get; `sure` when the call says so itself. */
export type Intent =
  | { readonly kind: 'harmless' }
  | { readonly kind: 'cut'; readonly size: number; readonly sure: boolean };

const HARMLESS: Intent = { kind: 'harmless' };

/** The range in an event, bytes, and the file's present size. */
export interface Asked {
  readonly offset: number;
  readonly count: number;
  readonly fileSize: number;
}

interface Calls {
  /** Number: which argument holds the open flags, or -1 when the call always truncates. */
  readonly opens: ReadonlyMap<number, number>;
  readonly openat2: number;
  /** Calls that open without truncating. */
  readonly plainOpens: ReadonlySet<number>;
  /** Argument 1 is the new length. */
  readonly truncates: ReadonlySet<number>;
  readonly fallocate: number;
  /** Calls that use content and leave the size, or make it larger. */
  readonly uses: ReadonlySet<number>;
}

// The second numbers are those of 32-bit programs; none of them opens or cuts under its number in the 64-bit table.
const CALLS: Readonly<Record<string, Calls>> = {
  x64: {
    opens: new Map([
      [2, 1],
      [85, -1],
      [257, 2],
      [304, 2],
      [5, 1],
      [8, -1],
      [295, 2],
    ]),
    openat2: 437,
    plainOpens: new Set([59, 322, 11]),
    truncates: new Set([76, 77, 92, 93, 193, 194]),
    fallocate: 285,
    // read write pread64 pwrite64 readv writev sendfile splice tee preadv pwritev copy_file_range preadv2 pwritev2 mmap ioctl io_submit
    uses: new Set([0, 1, 17, 18, 19, 20, 40, 275, 276, 295, 296, 326, 327, 328, 9, 16, 209]),
  },
  arm64: {
    opens: new Map([
      [56, 2],
      [265, 2],
    ]),
    openat2: 437,
    plainOpens: new Set([221, 281]),
    truncates: new Set([45, 46]),
    fallocate: 47,
    uses: new Set([63, 64, 67, 68, 65, 66, 71, 76, 77, 69, 70, 285, 286, 287, 222, 29, 2]),
  },
};

const FALLOC_FL_COLLAPSE_RANGE = 0x08;
const PAGE = 4096;

/** The line of /proc/TID/syscall, '' when the thread is gone or may not be looked at. */
export function syscallLine(thread: number): string {
  try {
    return readFileSync(`/proc/${thread}/syscall`, 'latin1').trimEnd();
  } catch {
    return '';
  }
}

const RUNNING = 'running';
/** Looks in a row, before those with a pause between them. */
const QUICK_LOOKS = 20;
const LOOK_MS = 1;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * The line of a thread that has just asked: its event can be read before it sleeps, and only then has it a line. On a busy machine it
 * may wait for a processor for a while.
 * @param timeoutMs - by then it is `running`, whatever it is about to do
 */
export function syscallLineOfAsking(thread: number, timeoutMs: number): string {
  const deadline = performance.now() + timeoutMs;
  let line = syscallLine(thread);
  for (let look = 0; line === RUNNING && performance.now() < deadline; look++) {
    if (look >= QUICK_LOOKS) Atomics.wait(sleeper, 0, 0, LOOK_MS);
    line = syscallLine(thread);
  }
  return line;
}

/** True when a thread has left the system call that `line` shows, for certain. */
export function hasLeft(thread: number, line: string): boolean {
  const now = syscallLine(thread);
  // On a processor at this moment: it may still be at it.
  return now !== RUNNING && now !== line;
}

/** What the thread that asks to open a file is about to do. */
export function intentOfOpen(thread: number, line: string, arch: string = process.arch): Intent {
  const { nr, args } = parse(line);
  const calls = CALLS[arch];
  if (calls === undefined || nr < 0) return unsure(0);
  if (calls.plainOpens.has(nr)) return HARMLESS;
  if (nr === calls.openat2) {
    const flags = openat2Flags(thread, args[2]!);
    return flags < 0 ? unsure(0) : ofFlags(flags);
  }
  const at = calls.opens.get(nr);
  if (at === undefined) return unsure(0);
  return at < 0 ? cut(0) : ofFlags(Number(args[at]! & 0xffff_ffffn));
}

/** What the thread that asks to use or cut a file's content is about to do. */
export function intentOfAccess(line: string, asked: Asked, arch: string = process.arch): Intent {
  const { nr, args } = parse(line);
  const calls = CALLS[arch];
  if (calls !== undefined) {
    if (calls.truncates.has(nr)) return cut(lengthOf(args[1]!));
    if (nr === calls.fallocate) {
      const collapses = (Number(args[1]! & 0xffff_ffffn) & FALLOC_FL_COLLAPSE_RANGE) !== 0;
      return collapses ? cut(Math.max(0, asked.fileSize - lengthOf(args[3]!))) : HARMLESS;
    }
    if (calls.uses.has(nr)) return HARMLESS;
  }
  // A call of another kind (io_uring, a thread of the kernel). A truncation asks for one page, or for nothing.
  return asked.count > PAGE ? HARMLESS : unsure(asked.offset);
}

function ofFlags(flags: number): Intent {
  return (flags & O_TRUNC) === 0 ? HARMLESS : cut(0);
}

function cut(size: number): Intent {
  return { kind: 'cut', size, sure: true };
}

function unsure(size: number): Intent {
  return { kind: 'cut', size, sure: false };
}

/** A length as the kernel takes it; a negative one is refused there, and what is beyond 2^53 cuts nothing. */
function lengthOf(arg: bigint): number {
  const length = BigInt.asIntN(64, arg);
  return length < 0n ? Number.MAX_SAFE_INTEGER : Number(length < 2n ** 53n ? length : 2n ** 53n - 1n);
}

function parse(line: string): { nr: number; args: bigint[] } {
  const words = line.split(' ');
  // "running", a thread in no call ("-1 ...") or nothing at all.
  if (words.length < 7) return { nr: -1, args: [] };
  return { nr: Number(words[0]), args: words.slice(1, 7).map((word) => BigInt(word)) };
}

/** `flags` of the struct open_how at an address of the thread. @returns -1 when it cannot be read */
function openat2Flags(thread: number, address: bigint): number {
  let fd = -1;
  try {
    fd = openSync(`/proc/${thread}/mem`, 'r');
    const bytes = new Uint8Array(8);
    return readSync(fd, bytes, 0, 8, address) === 8 ? new DataView(bytes.buffer).getUint32(0, true) : -1;
  } catch {
    return -1;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
