/** Labels come from file names that a guest may have chosen: made harmless before a person reads them. */

/** The label with everything a terminal could obey (control, formatting and broken characters) shown as `?`. */
export function printable(label: string): string {
  return label.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}
