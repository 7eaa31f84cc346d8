/** What a person or a program reads of the verdicts. */
import type { Clause, Judgement, Verdict } from '@oriel/torture';

/** The judgement of one clause. */
export interface ClauseResult extends Judgement {
  readonly clause: Clause;
  readonly ms: number;
}

/** Where the lines go. */
export interface Report {
  begin(device: string, clauses: number): void;
  add(result: ClauseResult): void;
  /** @param stopped - why the rest was not run; null when all was */
  end(stopped: string | null): void;
  /** True when nothing hung or died, and all was run. */
  readonly good: boolean;
}

const VERDICTS: readonly Verdict[] = ['REJECT', 'PASS', 'HANG', 'DEAD', 'SKIP'];
const VERDICT_WIDTH = 8;
const CLAUSE_WIDTH = 44;
const SOURCE_WIDTH = 52;

/** How often each verdict came. */
class Tally {
  readonly counts: Record<Verdict, number> = { REJECT: 0, PASS: 0, HANG: 0, DEAD: 0, SKIP: 0 };
  whole = true;

  get good(): boolean {
    return this.whole && this.counts.HANG === 0 && this.counts.DEAD === 0;
  }
}

function row(verdict: string, clause: string, source: string, detail: string): string {
  return `${verdict.padEnd(VERDICT_WIDTH)}${clause.padEnd(CLAUSE_WIDTH)}${source.padEnd(SOURCE_WIDTH)}${detail}`.trimEnd();
}

/** A table for the terminal. */
export function tableReport(out: NodeJS.WritableStream): Report {
  const tally = new Tally();
  return {
    begin: (device, clauses) =>
      void out.write(`${clauses} clauses, device: ${device}\n${row('VERDICT', 'CLAUSE', 'SOURCE', 'DETAIL')}\n`),
    add({ clause, verdict, detail }) {
      tally.counts[verdict]++;
      const bad = verdict === 'HANG' || verdict === 'DEAD';
      out.write(`${row(verdict, clause.id, clause.source, bad ? `${detail} <- ${clause.sent}` : detail)}\n`);
    },
    end(stopped) {
      tally.whole = stopped === null;
      const counts = VERDICTS.map((verdict) => `${tally.counts[verdict]} ${verdict}`).join(', ');
      out.write(`${counts}${stopped === null ? '' : `; stopped: ${stopped}`}\n`);
    },
    get good() {
      return tally.good;
    },
  };
}

/** Lines of JSON. */
export function jsonReport(out: NodeJS.WritableStream): Report {
  const tally = new Tally();
  let device = '';
  return {
    begin(name) {
      device = name;
    },
    add({ clause: { id, source, sent }, verdict, detail, ms }) {
      tally.counts[verdict]++;
      out.write(`${JSON.stringify({ clause: id, source, sent, verdict, detail, ms })}\n`);
    },
    end(stopped) {
      tally.whole = stopped === null;
      out.write(`${JSON.stringify({ summary: tally.counts, device, stopped })}\n`);
    },
    get good() {
      return tally.good;
    },
  };
}
