/** The moment in which a process that has everything it needs gives up the rest; and its end, for which it needs help. */
import { lstatSync, writeSync } from 'node:fs';
import {
  check,
  type FilterRule,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRAP,
  type Sys,
  seccompFilter,
} from '@oriel/sys';
import { allowedCalls, refusedBehindChroot } from './allowed-calls.ts';
import { capabilityWords } from './capabilities.ts';
import { type Cleaner, tellCleaner } from './cleaner.ts';
import type { CellPlan, Gate } from './device-cell.ts';
import { enterDirectory } from './enter-directory.ts';
import type { GuardEnds } from './guard/guard-ends.ts';
import type { Outsider } from './outsider.ts';
import type { SandboxPlan } from './sandbox-plan.ts';

const ACTIONS = { kill: SECCOMP_RET_KILL_PROCESS, trap: SECCOMP_RET_TRAP, log: SECCOMP_RET_LOG } as const;

/** Who was started, and what was opened, before the process had less than its starter. */
export interface Outsiders {
  /** Pivots; null where there is nothing to pivot. */
  readonly pivot: Outsider | null;
  /** Removes socket files. */
  readonly cleaner: Cleaner;
  /** Guards mapped files; null: nobody does. */
  readonly guard: GuardEnds | null;
  /** A descriptor of the share, whose mounts a launcher holds; null: it is where its path leads. */
  readonly share: number | null;
}

/** device:inode of a socket file, as `stat -c %d:%i` prints it. */
function identity(path: string): string {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '-' : `${found.dev}:${found.ino}`;
}

/** Between a process and what it gives up. */
export class Door {
  readonly #sys: Pick<Sys, 'sandbox' | 'fd' | 'loop'>;
  readonly #plan: SandboxPlan;
  readonly #outsiders: Outsiders;
  #sockets: readonly string[] = [];
  #closed = false;

  constructor(sys: Pick<Sys, 'sandbox' | 'fd' | 'loop'>, plan: SandboxPlan, outsiders: Outsiders) {
    this.#sys = sys;
    this.#plan = plan;
    this.#outsiders = outsiders;
  }

  /** What a device's thread is told of it. */
  cell(gate: Gate): CellPlan {
    const { guard, share } = this.#outsiders;
    return { plan: this.#plan, gate: gate.state, share, guard };
  }

  /**
   * Closes it behind all threads, for good: no file elsewhere can be opened, no module loaded, no process started.
   * @throws SysError, Error: the process must end
   */
  close(): void {
    const { sandbox } = this.#sys;
    const { mode, seccomp, sharedDir, capabilities } = this.#plan;
    this.#sockets = this.#plan.sockets.map(identity);
    this.#closed = true;
    if (this.#outsiders.pivot !== null) {
      const { fd, pid } = this.#outsiders.pivot;
      writeSync(fd, '\n');
      if (check(sandbox.waitChild(pid), 'wait4') !== 0) {
        throw new Error('the sandbox cannot be closed');
      }
    }
    if (mode === 'chroot') {
      enterDirectory(sandbox, sharedDir);
      check(sandbox.setCapabilities(capabilityWords(capabilities)), 'capset');
      // Threads that nobody can tell to give the capability up keep it, and a second chroot(2) leads out of the first.
      this.#filter(refusedBehindChroot(process.arch), SECCOMP_RET_ALLOW);
    }
    if (seccomp !== 'none') {
      this.#filter(allowedCalls(process.pid, process.arch), ACTIONS[seccomp]);
    }
  }

  /** For all threads. */
  #filter(rules: readonly FilterRule[], otherwise: number): void {
    const filter = seccompFilter(rules, otherwise, process.arch);
    const thread = check(this.#sys.sandbox.loadFilter(filter, SECCOMP_FILTER_FLAG_TSYNC), 'seccomp');
    if (thread !== 0) {
      throw new Error(`seccomp: thread ${thread} has a filter of its own`);
    }
  }

  /**
   * Has the socket files removed that were there when the door closed.
   * @param limitMs - it is waited no longer for that
   * @returns why it is not sure that they are removed, for a person; null: they are
   */
  removeSockets(limitMs: number): string | null {
    if (!this.#closed) {
      return null;
    }
    this.#closed = false;
    const { cleaner } = this.#outsiders;
    const failed = tellCleaner(this.#sys, cleaner, this.#sockets, limitMs);
    if (failed === null) {
      this.#sys.sandbox.waitChild(cleaner.pid);
    }
    return failed;
  }
}
