/** What a device counts. */

/** Figures of a device. */
export interface GpuStats {
  readonly resources: number;
  readonly contexts: number;
  readonly mappings: number;
  /** Host memory that resources hold, bytes. */
  readonly hostmem: number;
  /** Requests without an answer. */
  readonly waiting: number;
  readonly commands: number;
  /** Commands answered with an error. */
  readonly errors: number;
  readonly flushes: number;
}
