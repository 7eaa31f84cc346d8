/** One rule of the specification, and the way in which it is broken. */
import type { Session } from './session.ts';

/** How far a session goes honestly before the attack. */
export type Stage = 'connected' | 'negotiated' | 'memory' | 'running';

/** One clause of the suite. */
export interface Clause {
  /** Subject and case, as in 'memory/gpa-wraps': stable. */
  readonly id: string;
  /** The rule: a section of a specification, or the CVE of a peer that lacked it. */
  readonly source: string;
  /** What is sent, in words. */
  readonly sent: string;
  readonly stage: Stage;
  /** The ring is a packed one. */
  readonly packed?: boolean;
  /** @returns why the clause does not concern this peer, or null; asked once `stage` is reached */
  skip?(session: Session): string | null;
  attack(session: Session): void;
}

/** What a clause may have beside its text and its attack. */
export type ClauseRest = Partial<Pick<Clause, 'stage' | 'packed' | 'skip'>>;

/** Makes clauses of one subject. */
export function clausesOf(subject: string, stage: Stage, source: string) {
  return (id: string, sent: string, attack: (session: Session) => void, rest: ClauseRest & { source?: string } = {}) =>
    ({ stage, source, ...rest, id: `${subject}/${id}`, sent, attack }) satisfies Clause;
}

/** Takes a session as far as a clause wants it. @throws TortureError */
export function reach(session: Session, stage: Stage): void {
  if (stage === 'connected') return;
  session.negotiate();
  if (stage === 'negotiated') return;
  session.shareMemory();
  if (stage === 'running') session.startRing();
}
