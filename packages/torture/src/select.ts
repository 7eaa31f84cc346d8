/** Picking clauses by name. */
import type { Clause } from './clause.ts';

/** True for an id that a pattern names: with '*' for any characters it must match as a whole, without one it may stand anywhere. */
export function matches(id: string, pattern: string): boolean {
  if (!pattern.includes('*')) return id.includes(pattern);
  const [first = '', ...rest] = pattern.split('*');
  if (!id.startsWith(first)) return false;
  let at = first.length;
  for (const [index, part] of rest.entries()) {
    const last = index === rest.length - 1;
    const found = last ? Math.max(id.length - part.length, at) : id.indexOf(part, at);
    if (found < 0 || !id.startsWith(part, found)) return false;
    at = found + part.length;
  }
  return at === id.length;
}

/** The clauses that a pattern names. @param pattern - undefined: all */
export function selectClauses(clauses: readonly Clause[], pattern: string | undefined): readonly Clause[] {
  return pattern === undefined ? clauses : clauses.filter(({ id }) => matches(id, pattern));
}
