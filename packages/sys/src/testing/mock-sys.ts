/** A `Sys` in which single calls can be made to fail, or be replaced, with a log of what was called. */
import { openSys } from '../koffi/open.ts';
import type { Sys } from '../sys.ts';
import { SysError } from '../sys-error.ts';

type MemberName = { [S in keyof Sys]: `${S}.${keyof Sys[S] & string}` }[keyof Sys];

/** A call by slice and name: 'mem.mmap'. What is no system call, and so cannot fail, is not among them. */
export type SysCallName = Exclude<MemberName, 'mem.pageSize' | 'mem.detach' | 'loop.nowNs' | 'socket.makeRecvResult'>;

const PLAIN: ReadonlySet<string> = new Set(['mem.detach', 'loop.nowNs', 'socket.makeRecvResult']);

/** Calls that stand in for the real ones, by slice. */
export type SysOverrides = { readonly [S in keyof Sys]?: Partial<Sys[S]> };

/** One entry of the log. */
export interface SysCall {
  readonly name: SysCallName;
  readonly args: readonly unknown[];
  readonly result: unknown;
}

/** A `Sys` for tests of errors; everything else goes to the real one. */
export interface MockSys extends Sys {
  /** Every call made, oldest first. */
  readonly calls: readonly SysCall[];
  /** How often a call was made. */
  count(name: SysCallName): number;
  /**
   * Makes a call fail without being made.
   * @param errno - positive, as in errno.h; the call returns it negated (`mem.view` throws a SysError)
   * @param times - how many calls fail; the ones after go through again
   * @param skip - how many calls go through first
   */
  failNext(name: SysCallName, errno: number, times?: number, skip?: number): void;
  /** Forgets the log and all failures still to come. */
  reset(): void;
}

interface Failure {
  readonly errno: number;
  times: number;
  skip: number;
}

type AnyCall = (...args: unknown[]) => unknown;

/**
 * Wraps a real `Sys`.
 * @param overrides - calls to replace for good
 * @param real - where all other calls go
 */
export function mockSys(overrides: SysOverrides = {}, real: Sys = openSys()): MockSys {
  const calls: SysCall[] = [];
  const failures = new Map<SysCallName, Failure[]>();

  const injected = (name: SysCallName): number | undefined => {
    const queue = failures.get(name);
    const first = queue?.[0];
    if (queue === undefined || first === undefined) {
      return undefined;
    }
    if (first.skip > 0) {
      first.skip--;
      return undefined;
    }
    first.times--;
    if (first.times <= 0) {
      queue.shift();
    }
    return -first.errno;
  };

  const wrapSlice = (slice: keyof Sys): Record<string, unknown> => {
    const wrapped: Record<string, unknown> = {};
    const members = { ...real[slice], ...overrides[slice] } as Record<string, unknown>;
    for (const [key, member] of Object.entries(members)) {
      const name = `${slice}.${key}` as SysCallName;
      if (typeof member !== 'function' || PLAIN.has(name)) {
        wrapped[key] = member;
        continue;
      }
      wrapped[key] = (...args: unknown[]): unknown => {
        const failed = injected(name);
        if (failed !== undefined && name === 'mem.view') {
          throw new SysError(-failed, 'view');
        }
        const result = failed ?? (member as AnyCall)(...args);
        calls.push({ name, args, result });
        return result;
      };
    }
    return wrapped;
  };

  const slices: Record<string, unknown> = {};
  for (const slice of Object.keys(real) as (keyof Sys)[]) {
    slices[slice] = wrapSlice(slice);
  }
  return {
    ...(slices as unknown as Sys),
    calls,
    count: (name) => calls.filter((call) => call.name === name).length,
    failNext(name, errno, times = 1, skip = 0) {
      const queue = failures.get(name) ?? [];
      queue.push({ errno, times, skip });
      failures.set(name, queue);
    },
    reset() {
      calls.length = 0;
      failures.clear();
    },
  };
}
