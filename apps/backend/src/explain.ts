/** Errors for people. */

/** An error and what caused it, in one line. */
export function explain(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null; at = (at as Error).cause) {
    parts.push(at instanceof Error ? at.message : String(at));
  }
  return parts.join(': ');
}
