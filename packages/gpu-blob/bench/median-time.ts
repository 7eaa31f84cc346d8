/** How the benches of this package measure: medians of rounds that take turns, so that noise meets all cases alike. */

const ROUNDS = 9;

/** A thing to measure. */
export interface TimedCase {
  readonly name: string;
  /** Calls in a round. */
  readonly calls: number;
  readonly call: () => void;
}

/** Nanoseconds of a call of each case: the median of nine rounds, after one that does not count. */
export function measure(cases: readonly TimedCase[]): Map<string, number> {
  const times = new Map(cases.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { name, calls, call } of cases) {
      const start = performance.now();
      for (let i = 0; i < calls; i++) call();
      const ns = ((performance.now() - start) * 1e6) / calls;
      if (round > 0) times.get(name)!.push(ns);
    }
  }
  return new Map(cases.map(({ name }) => [name, times.get(name)!.sort((a, b) => a - b)[ROUNDS >> 1]!]));
}

/** A table on standard error, JSON on standard output. */
export function report(bench: string, results: readonly Readonly<Record<string, string | number>>[]): void {
  for (const row of results) {
    const cells = Object.entries(row).map(([name, value]) =>
      name === 'name' ? String(value).padEnd(36) : `${name} ${value}`,
    );
    process.stderr.write(`${cells.join('  ')}\n`);
  }
  process.stdout.write(`${JSON.stringify({ bench, node: process.version, results })}\n`);
}
