/** The one place that loads koffi. Every call goes through libc's `syscall`, so nothing depends on which libc it is. */
import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

type Koffi = typeof koffiModule;

/** A raw system call: its number, then the arguments of its shape. @returns the result, -1 on failure (see `errno`) */
export type RawCall = (nr: number, ...args: (number | bigint | ArrayBufferView)[]) => number;

let loaded: Koffi | undefined;
let library: ReturnType<Koffi['load']> | undefined;
const shapes = new Map<string, RawCall>();

/** koffi itself, loaded at first use (14 ms), once a thread. */
export function koffi(): Koffi {
  loaded ??= createRequire(import.meta.url)('koffi') as Koffi;
  return loaded;
}

/**
 * libc's `syscall` for arguments of a given shape: one letter an argument, `i` a 64-bit integer, `p` memory (an address
 * or a view). The kernel looks only at as many bits as it needs, so one integer type serves all.
 */
export function rawCall(shape: string): RawCall {
  let call = shapes.get(shape);
  if (call === undefined) {
    library ??= koffi().load(null);
    const types = [...shape].map((letter) => (letter === 'p' ? 'void *' : 'int64_t'));
    call = library.func('syscall', 'int64_t', ['int64_t', ...types]) as unknown as RawCall;
    shapes.set(shape, call);
  }
  return call;
}

/** The errno of this thread; meaningful only right after a call that returned -1. */
export function errno(): number {
  return koffi().errno();
}

/** The address of memory that a structure is to point to. */
export function addressOf(pointer: number | ArrayBufferView): number {
  return typeof pointer === 'number' ? pointer : Number(koffi().address(pointer));
}
