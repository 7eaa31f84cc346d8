/**
 * What `oriel ctl` and a running program say to each other: JSON, one object a line, over a Unix stream socket. A request
 * names its `command`, the `device` where there are several, and the command's own fields; each gets one reply, in order.
 */

/** Longest request, bytes. */
export const MAX_REQUEST_BYTES = 65536;

/** A reply: entries, each of which `oriel ctl` prints as a line, or what was wrong. */
export type ControlReply =
  | { readonly ok: true; readonly entries: readonly object[] }
  | { readonly ok: false; readonly error: string };

/** The entry of a screenshot. */
export interface ScreenshotEntry {
  readonly scanout: number;
  readonly width: number;
  readonly height: number;
  /** A PNG file in base64. */
  readonly png: string;
}
