/** The plain data of a frozen connection: its shape, and the one reader that trusts none of it. */
import { VhostUserError } from '../errors.ts';

/** What `FrozenConnection.state` is. Descriptors are places in `FrozenConnection.fds`; -1 for none. */
export interface FrozenState {
  readonly version: 1;
  /** Name of the front-end profile. */
  readonly profile: string;
  /** Bits 0..31 and 32..63. */
  readonly features: readonly [number, number];
  readonly protocolFeatures: readonly [number, number];
  readonly status: number;
  readonly configPending: boolean;
  readonly socket: number;
  readonly received: { readonly hex: string; readonly fds: readonly number[] };
  readonly backChannel: number;
  readonly regions: readonly FrozenRegionState[];
  readonly inflight: FrozenInflight | null;
  readonly log: FrozenLog | null;
  readonly rings: readonly FrozenRing[];
}

export interface FrozenRegionState {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
  /** -1: its memory was not needed. */
  readonly fd: number;
}

export interface FrozenInflight {
  readonly mmapSize: number;
  readonly mmapOffset: number;
  readonly numQueues: number;
  readonly queueSize: number;
  readonly fd: number;
}

export interface FrozenLog {
  readonly mmapSize: number;
  readonly mmapOffset: number;
  readonly fd: number;
  readonly eventFd: number;
}

export interface FrozenRing {
  readonly size: number;
  readonly addresses: { readonly desc: number; readonly avail: number; readonly used: number } | null;
  readonly logged: boolean;
  readonly base: number | null;
  readonly started: boolean;
  readonly enabled: boolean;
  readonly kick: number;
  readonly call: number;
  readonly err: number;
}

const U32 = 0xffff_ffff;
const MAX_LIST = 4096;

type Plain = Readonly<Record<string, unknown>>;

/**
 * Reads the state, as it may come from another program.
 * @param fdCount - descriptors that came with it: each must be named exactly once
 * @throws VhostUserError ERR_VU_FROZEN
 */
export function readFrozenState(state: unknown, fdCount: number): FrozenState {
  const reader = new Reader(fdCount);
  const frozen = reader.connection(object(state, 'state'));
  reader.end();
  return frozen;
}

/** Reads values, and counts the descriptors that they name. */
class Reader {
  readonly #named: Set<number> = new Set();
  readonly #fdCount: number;

  constructor(fdCount: number) {
    this.#fdCount = fdCount;
  }

  connection(state: Plain): FrozenState {
    if (state.version !== 1) {
      throw wrong('version');
    }
    const received = object(state.received, 'received');
    return {
      version: 1,
      profile: text(state.profile, 'profile'),
      features: words(state.features, 'features'),
      protocolFeatures: words(state.protocolFeatures, 'protocolFeatures'),
      status: integer(state.status, 'status', 0xff),
      configPending: flag(state.configPending, 'configPending'),
      socket: this.#fd(state.socket, 'socket'),
      received: {
        hex: hex(received.hex, 'received'),
        fds: list(received.fds, 'received').map((fd) => this.#fd(fd, 'received')),
      },
      backChannel: this.#maybeFd(state.backChannel, 'backChannel'),
      regions: list(state.regions, 'regions').map((region) => this.#region(object(region, 'region'))),
      inflight: state.inflight === null ? null : this.#inflight(object(state.inflight, 'inflight')),
      log: state.log === null ? null : this.#log(object(state.log, 'log')),
      rings: list(state.rings, 'rings').map((ring) => this.#ring(object(ring, 'ring'))),
    };
  }

  /** @throws VhostUserError when a descriptor was named by nobody */
  end(): void {
    if (this.#named.size !== this.#fdCount) {
      throw wrong(`${this.#fdCount} descriptors, of which ${this.#named.size} have a place:`);
    }
  }

  #region(region: Plain): FrozenRegionState {
    return {
      gpa: integer(region.gpa, 'gpa'),
      size: integer(region.size, 'size'),
      userAddr: integer(region.userAddr, 'userAddr'),
      mmapOffset: integer(region.mmapOffset, 'mmapOffset'),
      fd: this.#maybeFd(region.fd, 'region'),
    };
  }

  #inflight(inflight: Plain): FrozenInflight {
    return {
      mmapSize: integer(inflight.mmapSize, 'mmapSize'),
      mmapOffset: integer(inflight.mmapOffset, 'mmapOffset'),
      numQueues: integer(inflight.numQueues, 'numQueues', 0xffff),
      queueSize: integer(inflight.queueSize, 'queueSize', 0xffff),
      fd: this.#fd(inflight.fd, 'inflight'),
    };
  }

  #log(log: Plain): FrozenLog {
    return {
      mmapSize: integer(log.mmapSize, 'mmapSize'),
      mmapOffset: integer(log.mmapOffset, 'mmapOffset'),
      fd: this.#fd(log.fd, 'log'),
      eventFd: this.#maybeFd(log.eventFd, 'log eventFd'),
    };
  }

  #ring(ring: Plain): FrozenRing {
    const addresses = ring.addresses === null ? null : object(ring.addresses, 'addresses');
    return {
      size: integer(ring.size, 'size', U32),
      addresses:
        addresses === null
          ? null
          : {
              desc: integer(addresses.desc, 'desc'),
              avail: integer(addresses.avail, 'avail'),
              used: integer(addresses.used, 'used'),
            },
      logged: flag(ring.logged, 'logged'),
      base: ring.base === null ? null : integer(ring.base, 'base', U32),
      started: flag(ring.started, 'started'),
      enabled: flag(ring.enabled, 'enabled'),
      kick: this.#maybeFd(ring.kick, 'kick'),
      call: this.#maybeFd(ring.call, 'call'),
      err: this.#maybeFd(ring.err, 'err'),
    };
  }

  #maybeFd(value: unknown, what: string): number {
    return value === -1 ? -1 : this.#fd(value, what);
  }

  #fd(value: unknown, what: string): number {
    const place = integer(value, what, this.#fdCount - 1);
    if (this.#named.has(place)) {
      throw wrong(`${what}: descriptor ${place} has two places,`);
    }
    this.#named.add(place);
    return place;
  }
}

function object(value: unknown, what: string): Plain {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(what);
  }
  return value as Plain;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > MAX_LIST) {
    throw wrong(what);
  }
  return value;
}

function integer(value: unknown, what: string, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > max) {
    throw wrong(what);
  }
  return value as number;
}

function words(value: unknown, what: string): readonly [number, number] {
  const [lo, hi, ...rest] = list(value, what);
  if (rest.length > 0) {
    throw wrong(what);
  }
  return [integer(lo, what, U32), integer(hi, what, U32)];
}

function flag(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') {
    throw wrong(what);
  }
  return value;
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') {
    throw wrong(what);
  }
  return value;
}

/** No longer than a message. */
function hex(value: unknown, what: string): string {
  const digits = text(value, what);
  if (digits.length > 2 * MAX_LIST || digits.length % 2 !== 0 || !/^[0-9a-f]*$/.test(digits)) {
    throw wrong(what);
  }
  return digits;
}

function wrong(what: string): VhostUserError {
  return new VhostUserError('ERR_VU_FROZEN', 'bug', `${what} of a frozen connection is not what it should be`);
}
