/** The workloads of Wayland, as one table: what the probe `wlround` does. */

/** One row. */
export interface WaylandWorkload {
  /** What one operation is. */
  readonly operation: string;
  /** The probe's first word. */
  readonly what: string;
  /** Pixels that an operation carries; 0: none. */
  readonly bytes: number;
  /** Operations of a run: it is as long as they take, since nothing can be measured while they are under way. */
  readonly count: number;
}

/** Workloads by name, in the order of the report. */
export const WAYLAND_WORKLOADS: Readonly<Record<string, WaylandWorkload>> = {
  'wl-sync': { operation: 'wl_display.sync and its answer', what: 'sync', bytes: 0, count: 100 },
  'wl-commit': {
    operation: 'commit of a surface of 1920 x 1080, all of it new, and a wl_display.sync',
    what: 'commit',
    bytes: 1920 * 1080 * 4,
    count: 20,
  },
};
