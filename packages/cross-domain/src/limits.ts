/** Bounds on what guest programs make the host hold. */
import { CrossDomainError } from './errors.ts';
import { Quota } from './quota.ts';

/** Each a whole number from 1. */
export interface CrossDomainLimits {
  /** Descriptors of one context: its socket, files that came, pipes; default 256. */
  readonly maxFds: number;
  /** Those of all contexts together; default 4096. */
  readonly maxTotalFds: number;
  /** Host memory of one context, bytes: its blobs, copies of files that came, data that waits; default 256 MiB. */
  readonly maxBytes: number;
  /** That of all contexts together; default 1 GiB. */
  readonly maxTotalBytes: number;
  /** Blobs of one context; default 1024. They live on where the guest keeps them when the context ends. */
  readonly maxBlobs: number;
  /** Data that waits for one host socket or pipe to take it, bytes; default 16 MiB. More ends that connection or pipe. */
  readonly maxQueuedBytes: number;
}

const MIB = 1024 * 1024;

const DEFAULTS: CrossDomainLimits = {
  maxFds: 256,
  maxTotalFds: 4096,
  maxBytes: 256 * MIB,
  maxTotalBytes: 1024 * MIB,
  maxBlobs: 1024,
  maxQueuedBytes: 16 * MIB,
};

/** With the defaults for what is not given. @throws CrossDomainError ERR_CROSS_DOMAIN_LIMIT */
export function completeLimits(given: Partial<CrossDomainLimits>): CrossDomainLimits {
  const limits = { ...DEFAULTS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new CrossDomainError('ERR_CROSS_DOMAIN_LIMIT', `${name} ${value}, want a whole number from 1`);
    }
  }
  return limits;
}

/** The amounts of one context. */
export interface Quotas {
  readonly fds: Quota;
  readonly bytes: Quota;
  readonly blobs: Quota;
}

/** Makes the amounts of contexts, which share two. */
export class QuotaSource {
  readonly limits: CrossDomainLimits;
  readonly #fds: Quota;
  readonly #bytes: Quota;

  constructor(limits: CrossDomainLimits) {
    this.limits = limits;
    this.#fds = new Quota(limits.maxTotalFds);
    this.#bytes = new Quota(limits.maxTotalBytes);
  }

  /** Descriptors and bytes held for all contexts. */
  get used(): { readonly fds: number; readonly bytes: number } {
    return { fds: this.#fds.used, bytes: this.#bytes.used };
  }

  forContext(): Quotas {
    const { maxFds, maxBytes, maxBlobs } = this.limits;
    return { fds: new Quota(maxFds, this.#fds), bytes: new Quota(maxBytes, this.#bytes), blobs: new Quota(maxBlobs) };
  }
}
