/** From what was seen to one word. */
import type { ProbeResult } from './probe.ts';

/**
 * - `REJECT`: the peer answered an error, closed the connection or marked the ring broken, and still serves.
 * - `PASS`: it bore it, and still serves.
 * - `HANG`: no answer to an honest probe in time.
 * - `DEAD`: the process or its socket is gone, or serves no honest front-end any more.
 * - `SKIP`: the clause does not concern this peer.
 */
export type Verdict = 'REJECT' | 'PASS' | 'HANG' | 'DEAD' | 'SKIP';

/** What was seen of one clause. */
export interface Observation {
  /** Why the clause does not concern the peer; null when it was run. */
  readonly skipped: string | null;
  /** How the honest steps before the attack failed; null when they did not. */
  readonly setUp: ProbeResult | null;
  /** How the peer refused; empty when it did not. */
  readonly refusals: readonly string[];
  /** The connection behind the attack; 'broken' when nothing can be asked on it any more. */
  readonly same: 'answers' | 'closed' | 'silent' | 'broken';
  /** The honest request on the same connection, where it was tried. */
  readonly again: ProbeResult | null;
  /** The honest probe on a new connection. */
  readonly next: ProbeResult;
  /** Descriptors that the peer's process has more than before; 0 when that cannot be seen. */
  readonly descriptors: number;
  readonly ms: number;
}

/** How the peer's process ended. */
export interface PeerEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A verdict with its reason. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly detail: string;
}

/** More than probes that are not quite over account for. */
const LEAK = 16;

/** Status 0 and 1 are how programs end that serve one connection; a panic of Rust is 101, a shell's word of a signal 128 and more. */
function crashed({ code, signal }: PeerEnd): boolean {
  return signal !== null || code === null || code > 1;
}

function detailOf(result: ProbeResult | null): string {
  return result === null || result.kind === 'served' ? '' : result.detail;
}

/** The refusals, and what else is worth a word. */
function remarks({ refusals, descriptors, same }: Observation): string {
  const all = [...refusals];
  if (same === 'silent') all.push('the connection is silent');
  if (descriptors >= LEAK) all.push(`${descriptors} descriptors more than before`);
  return all.join('; ');
}

/**
 * Judges a clause.
 * @param end - how the peer's process ended meanwhile; null when it runs, or is not ours
 */
export function judge(seen: Observation, end: PeerEnd | null): Judgement {
  if (seen.skipped !== null) return { verdict: 'SKIP', detail: seen.skipped };
  if (end !== null && crashed(end)) {
    return { verdict: 'DEAD', detail: end.signal ?? `ended with status ${end.code}` };
  }
  if (seen.next.kind === 'served') return judgeServed(seen);
  if (end !== null) return judgeEnded(seen, end);
  return { verdict: seen.next.kind === 'silent' ? 'HANG' : 'DEAD', detail: `then: ${seen.next.detail}` };
}

function judgeServed(seen: Observation): Judgement {
  if (seen.setUp !== null) {
    const verdict = seen.setUp.kind === 'silent' ? 'HANG' : 'REJECT';
    return { verdict, detail: `before the attack: ${detailOf(seen.setUp)}` };
  }
  return { verdict: seen.refusals.length > 0 ? 'REJECT' : 'PASS', detail: remarks(seen) };
}

/** A peer that serves one connection ends with it: the connection of the attack is all there is to judge by. */
function judgeEnded(seen: Observation, { code }: PeerEnd): Judgement {
  const last = seen.setUp ?? seen.again;
  if (last?.kind === 'silent') return { verdict: 'HANG', detail: last.detail };
  if (last === null && seen.same === 'silent') return { verdict: 'HANG', detail: 'the connection is silent' };
  const ended = `ended with status ${code}`;
  const refused = seen.refusals.length > 0 || (last !== null && last.kind !== 'served');
  const why = [remarks(seen), detailOf(last), ended].filter((text) => text !== '').join('; ');
  return { verdict: refused ? 'REJECT' : 'PASS', detail: why };
}
