/** What an access to a part of a window meets where no mapping answers it: the policies, and what each one decides. */

/** The policies by name. */
export const UNMAPPED_POLICIES = ['fault', 'zero-ro', 'discard', 'private', 'inject'] as const;

/**
 * What the unmapped parts of a window are. Chosen once, per region.
 * - `fault`: reserved address space. A load or store faults: SIGSEGV for a process, -EFAULT of KVM_RUN for a guest.
 * - `zero-ro`: loads give zeros; stores fault as above.
 * - `discard`: loads give zeros; stores vanish (see `DiscardMeans`).
 * - `private`: anonymous memory: stores stay until the range is mapped, unmapped or cleared, and reach no other range.
 * - `inject`: reserved as with `fault`, but the guest gets the fault and not its VMM (see `Window.guestFault`).
 */
export type UnmappedPolicy = (typeof UNMAPPED_POLICIES)[number];

/**
 * How stores vanish under `discard`.
 * - `slots`: the pages are read-only zeros, and the embedder puts them into read-only memory slots (KVM_MEM_READONLY) and
 *   drops the write exits. Exact. A store of the process itself faults.
 * - `wiping`: the pages are private memory that `Window.wipe` empties. Without KVM no process comes closer: between two
 *   wipes a load sees what was stored.
 */
export type DiscardMeans = 'slots' | 'wiping';

/**
 * Why an access was not answered by a file. `unknown`: KVM_RUN said -EFAULT and not where. `truncated` without a place: it
 * did not say where, but a file was found that has lost pages.
 */
export type FaultCause = 'unmapped' | 'read-only' | 'truncated' | 'unknown';

/**
 * What the embedder does now. `retry`: the access succeeds when it is made again (KVM_RUN once more). `drop`: the access is
 * over; a store is forgotten, a load gives zeros. `inject`: the guest gets an exception. `stop`: the access cannot be
 * answered; a VMM stops its guest, as QEMU does at -EFAULT.
 */
export type FaultVerdict = 'retry' | 'drop' | 'inject' | 'stop';

/** One access that no file answered. */
export interface WindowFault {
  /** Who made it: a vCPU, or `Window.read` and `write`. */
  readonly by: 'guest' | 'process';
  readonly cause: FaultCause;
  /** Bytes from the start of the window; null where nobody knows. */
  readonly shmOffset: number | null;
  /** A store; null where nobody knows. */
  readonly write: boolean | null;
  readonly verdict: FaultVerdict;
}

/** True where an unmapped page can be loaded from. */
export function readsZeros(policy: UnmappedPolicy): boolean {
  return policy === 'zero-ro' || policy === 'discard' || policy === 'private';
}

/** True where an unmapped page can be stored to. */
export function takesStores(policy: UnmappedPolicy, means: DiscardMeans): boolean {
  return policy === 'private' || (policy === 'discard' && means === 'wiping');
}

/**
 * What a policy decides of an access to a page without a file: one that is unmapped, or whose file was truncated and which
 * the policy's memory has replaced.
 * @param write - null: unknown, and then a store, since a load would not have failed where pages read as zeros
 */
export function unmappedVerdict(policy: UnmappedPolicy, write: boolean | null): FaultVerdict {
  switch (policy) {
    case 'fault':
      return 'stop';
    case 'inject':
      return 'inject';
    case 'private':
      return 'retry';
    case 'zero-ro':
      return write === false ? 'retry' : 'stop';
    case 'discard':
      return write === false ? 'retry' : 'drop';
  }
}

/** What a policy decides of a store to a mapping without write access. */
export function readOnlyVerdict(policy: UnmappedPolicy): FaultVerdict {
  return policy === 'inject' ? 'inject' : policy === 'discard' ? 'drop' : 'stop';
}
