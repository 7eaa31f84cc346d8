/** A device's thread in a sandbox: it begins to serve behind the closed door only, with less than the process has. */
import { CLONE_FS, check, type Fd, type HelperThreads, SYS, type Sys } from '@oriel/sys';
import { capabilityWords } from './capabilities.ts';
import { enterDirectory } from './enter-directory.ts';
import type { GuardEnds } from './guard/guard-ends.ts';
import { openRuleset } from './landlock.ts';
import type { SandboxPlan } from './sandbox-plan.ts';

/** Values of a gate. */
const WAITING = 0;
const CLOSED = 1;
const FAILED = 2;

/** What the main thread and the devices' threads share: whether the door is closed. */
export class Gate {
  readonly state: Int32Array<SharedArrayBuffer>;

  constructor(state = new Int32Array(new SharedArrayBuffer(4))) {
    this.state = state;
  }

  /** Lets the threads go on, behind a closed door or to their end. */
  release(closed: boolean): void {
    Atomics.store(this.state, 0, closed ? CLOSED : FAILED);
    Atomics.notify(this.state, 0);
  }

  /** @throws Error when the door could not be closed */
  pass(): void {
    Atomics.wait(this.state, 0, WAITING);
    if (Atomics.load(this.state, 0) !== CLOSED) {
      throw new Error('the sandbox could not be closed');
    }
  }
}

/** What a device's thread is told of its sandbox. */
export interface CellPlan {
  readonly plan: SandboxPlan;
  readonly gate: Int32Array<SharedArrayBuffer>;
  /** See `Confinement`. */
  readonly share: number | null;
  /** Who guards mapped files; null: nobody. */
  readonly guard: GuardEnds | null;
}

/** One thread's part. */
export class DeviceCell {
  readonly #sys: Pick<Sys, 'sandbox' | 'cred' | 'fd'>;
  readonly #pools: readonly HelperThreads[];
  readonly #plan: SandboxPlan;
  readonly #gate: Gate;
  readonly #ruleset: Fd | null;

  /**
   * When the thread has all it needs: starts its helpers, which could not be loaded later.
   * @throws SysError, or an error of node:fs
   */
  constructor(
    sys: Pick<Sys, 'sandbox' | 'cred' | 'fd'>,
    pools: readonly HelperThreads[],
    { plan, gate }: Pick<CellPlan, 'plan' | 'gate'>,
  ) {
    this.#sys = sys;
    this.#pools = pools;
    this.#plan = plan;
    this.#gate = new Gate(gate);
    const { mode, landlock, sharedDir, stateDir } = plan;
    this.#ruleset = landlock ? openRuleset(sys, stateDir === undefined ? [sharedDir] : [sharedDir, stateDir]) : null;
    for (const pool of pools) pool.startAll();
    if (mode === 'chroot') {
      // The device may have taken root and working directory for itself: see unshare(2).
      check(sys.cred.unshare(CLONE_FS), 'unshare');
      enterDirectory(sys.sandbox, sharedDir);
    }
  }

  /** Waits for the closed door, then gives up what is this thread's own. @throws SysError, Error: the device must end */
  enter(): void {
    this.#gate.pass();
    const { sandbox } = this.#sys;
    if (this.#plan.mode === 'chroot') {
      check(sandbox.setCapabilities(capabilityWords(this.#plan.capabilities)), 'capset');
    }
    const ruleset = this.#ruleset;
    if (ruleset === null) {
      return;
    }
    check(sandbox.landlockRestrictSelf(ruleset.fd, 0), 'landlock_restrict_self');
    for (const pool of this.#pools) {
      check(pool.inEach(SYS.landlock_restrict_self, [ruleset.fd, 0]), 'landlock_restrict_self');
    }
    ruleset.close();
  }
}
