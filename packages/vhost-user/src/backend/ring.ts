/** The state of one ring as the front-end set it up. */
import type { Fd } from '@oriel/sys';
import type { Drain } from './ring-drain.ts';
import type { RingAddresses } from './ring-geometry.ts';

/** One ring: set-up, the two flags of the specification, and whether the device has it. */
export class Ring {
  readonly index: number;
  /** Entries; 0: not set. */
  size = 0;
  addresses: RingAddresses | null = null;
  /** VHOST_VRING_F_LOG of SET_VRING_ADDR: the used ring is logged. */
  logged = false;
  /** Where processing (re)starts; null: at the start of a new ring. */
  base: number | null = null;
  /** A kick (or "no kick, poll") was set since the last GET_VRING_BASE. */
  started = false;
  enabled = false;
  /** The device has it: between startRing and stopRing. */
  running = false;
  /** It runs, but takes no more chains: it is to stop when none is out. */
  drain: Drain | null = null;
  kick: Fd | null = null;
  call: Fd | null = null;
  err: Fd | null = null;

  constructor(index: number) {
    this.index = index;
  }

  /** True when all that a start needs is there. */
  get complete(): boolean {
    return this.started && this.enabled && this.size > 0 && this.addresses !== null;
  }

  /** GET_VRING_BASE: a new kick is needed for the next start. */
  stop(): void {
    this.started = false;
    this.kick?.close();
    this.kick = null;
  }

  /** RESET_DEVICE: as at the beginning, but for the call and err descriptors, which front-ends send once. */
  reset(): void {
    this.stop();
    this.enabled = false;
    this.size = 0;
    this.addresses = null;
    this.logged = false;
    this.base = null;
  }

  /** Closes everything. */
  release(): void {
    this.stop();
    this.call?.close();
    this.call = null;
    this.err?.close();
    this.err = null;
  }
}
