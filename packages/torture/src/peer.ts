/** A back-end under test, known by nothing but its socket. */
import { readdirSync } from 'node:fs';
import { type Clause, reach } from './clause.ts';
import type { DeviceRequest, KnownDevice } from './devices/device.ts';
import { attempt, type ProbeResult, probe, probeAgain } from './probe.ts';
import { Session, type TortureSys } from './session.ts';
import type { Observation } from './verdict.ts';
import { Waiter } from './waiter.ts';

/** How the suite gets at a back-end. */
export interface PeerOptions {
  readonly sys: TortureSys;
  /** Connects to it. @returns a non-blocking descriptor, given away, or a negative errno */
  readonly connect: () => number;
  /** How long an honest front-end waits for an answer, ms; default 2000. */
  readonly timeoutMs?: number;
  /** It serves one connection only: honest requests are tried again on the one that bore the clause. */
  readonly servesOnce?: boolean;
}

const TIMEOUT_MS = 2000;
/** Of a device that is not known. */
const ANY_REQUEST: DeviceRequest = { readable: [], writable: [4096] };

/** @returns how many descriptors a process has; NaN when that is not ours to see */
function descriptorsOf(pid: number): number {
  try {
    return pid > 0 ? readdirSync(`/proc/${pid}/fd`).length : Number.NaN;
  } catch {
    return Number.NaN;
  }
}

/** A back-end under test. Everything is synchronous: the back-end must be another process, or another thread. */
export class Peer implements Disposable {
  readonly #options: PeerOptions;
  readonly #waiter: Waiter;
  /** Of its process, as the last connection says. */
  #pid = 0;

  /** @throws SysError EMFILE */
  constructor(options: PeerOptions) {
    this.#options = options;
    this.#waiter = new Waiter(options.sys);
  }

  /** An honest session on a connection of its own. @param device - null: no requests, rings alone */
  probe(device: KnownDevice | null): ProbeResult {
    return probe(this.#session(device), device);
  }

  /** Runs one clause, then probes honestly. */
  run(clause: Clause, device: KnownDevice | null): Observation {
    const start = this.#waiter.now();
    const before = descriptorsOf(this.#pid);
    const seen = this.#attack(clause, device);
    const next = seen.skipped === null ? this.probe(device) : ({ kind: 'served' } as const);
    const descriptors = descriptorsOf(this.#pid) - before;
    return {
      ...seen,
      next,
      descriptors: Number.isNaN(descriptors) ? 0 : Math.max(descriptors, 0),
      ms: Math.round(this.#waiter.now() - start),
    };
  }

  [Symbol.dispose](): void {
    this.#waiter[Symbol.dispose]();
  }

  #session(device: KnownDevice | null, packed = false) {
    const { sys, connect, timeoutMs = TIMEOUT_MS } = this.#options;
    return {
      sys,
      connect,
      waiter: this.#waiter,
      timeoutMs,
      queue: device?.queue ?? 0,
      request: device?.honest ?? ANY_REQUEST,
      packed,
    };
  }

  #attack(clause: Clause, device: KnownDevice | null): Omit<Observation, 'next' | 'descriptors' | 'ms'> {
    let session: Session | undefined;
    let skipped: string | null = null;
    const setUp = attempt(() => {
      session = new Session(this.#session(device, clause.packed === true));
      this.#pid = session.peerPid;
      reach(session, clause.stage);
      skipped = clause.skip?.(session) ?? null;
    });
    using opened = session;
    if (opened === undefined || setUp.kind !== 'served') {
      return { skipped: null, setUp, refusals: [], same: 'closed', again: null };
    }
    // A clause may take honest steps of its own on the way.
    const attacked = attempt(() => {
      if (skipped === null) clause.attack(opened);
    });
    const same = opened.streamBroken ? 'broken' : opened.settle() === 'message' ? 'answers' : opened.state;
    const again = this.#options.servesOnce === true && same === 'answers' ? probeAgain(opened, device) : null;
    const state = same === 'open' ? 'answers' : same;
    return {
      skipped,
      setUp: attacked.kind === 'served' ? null : attacked,
      refusals: opened.refusals,
      same: state,
      again,
    };
  }
}
