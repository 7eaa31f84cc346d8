/** Finds descriptors and mappings that a test left behind. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { liveMappings } from '../mapping.ts';

/** What was open at the start; see `leakCheck`. */
export interface LeakCheck extends Disposable {
  /** @throws Error naming every descriptor and mapping that is new since the start */
  check(): void;
  /** Same as `check`. */
  [Symbol.dispose](): void;
  /**
   * As `check`, once what ends by itself has ended: the threads of helper threads close their own descriptors a moment after
   * they were told to.
   * @param timeoutMs - default 5000
   */
  settled(timeoutMs?: number): Promise<void>;
}

interface Holdings {
  /** What each descriptor is: `socket:[123]`, `/memfd:name (deleted)`. */
  readonly fds: ReadonlyMap<number, string>;
  /** File mappings by name, each with how often it is there. */
  readonly maps: ReadonlyMap<string, number>;
  readonly owned: number;
}

/** Code that Node or koffi loads at first use. */
const CODE = /\.so(\.[\d.]+)?$|\.node$/;
const MAPS_FILE_COLUMN = 5;

function readFds(): Map<number, string> {
  const fds = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      fds.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor that listed the directory is gone by now.
    }
  }
  return fds;
}

function readMaps(): Map<string, number> {
  const maps = new Map<string, number>();
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const name = line.split(/\s+/).slice(MAPS_FILE_COLUMN).join(' ');
    if (name.startsWith('/') && !CODE.test(name)) {
      maps.set(name, (maps.get(name) ?? 0) + 1);
    }
  }
  return maps;
}

/** How long things may take to end by themselves, ms. */
const SETTLE_MS = 5000;

function takeStock(): Holdings {
  return { fds: readFds(), maps: readMaps(), owned: liveMappings() };
}

function leaksBetween(before: Holdings, after: Holdings): string[] {
  const leaks: string[] = [];
  for (const [fd, what] of after.fds) {
    if (before.fds.get(fd) !== what) {
      leaks.push(`fd ${fd} -> ${what}`);
    }
  }
  for (const [name, count] of after.maps) {
    const extra = count - (before.maps.get(name) ?? 0);
    if (extra > 0) {
      leaks.push(`${extra} mapping(s) of ${name}`);
    }
  }
  if (after.owned > before.owned) {
    leaks.push(`${after.owned - before.owned} Mapping object(s) not disposed`);
  }
  return leaks;
}

/**
 * Takes stock of descriptors (/proc/self/fd), file mappings (/proc/self/maps) and `Mapping` objects; `check` or
 * disposal, later, throws when there are new ones. Start it after what Node opens at first use (workers, timers).
 * @example
 * beforeEach(() => { leaks = leakCheck(); });
 * afterEach(() => leaks.check());
 */
export function leakCheck(): LeakCheck {
  const before = takeStock();
  const check = (): void => {
    const leaks = leaksBetween(before, takeStock());
    if (leaks.length > 0) {
      throw new Error(`leaked: ${leaks.join('; ')}`);
    }
  };
  const settled = async (timeoutMs = SETTLE_MS): Promise<void> => {
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline && leaksBetween(before, takeStock()).length > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    check();
  };
  return { check, settled, [Symbol.dispose]: check };
}
