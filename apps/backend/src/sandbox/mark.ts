/** What a process that begins anew on its way into the sandbox is told by itself: its environment is all that goes along. */
import type { Outsiders } from './door.ts';
import type { GuardEnds } from './guard/guard-ends.ts';

const NAME = 'ORIEL_SANDBOX';

/** Found out by the user that started the program: who it is in a user namespace would find something else. */
export interface FoundBefore {
  readonly stateDir: string | undefined;
  /** As it is numbered where the process is now; -1: none. */
  readonly socketGroup: number;
}

/** How far it is: `user`: in its user namespace; `inside`: all that is done before the program is loaded. */
export type Step =
  | { readonly stage: 'user'; readonly guard: GuardEnds | null }
  | { readonly stage: 'inside'; readonly outsiders: Outsiders };

/** A step, and what is known since the first one. */
export type Mark = Step & { readonly found: FoundBefore };

/** This process's; null: it begins for the first time. */
export function readMark(): Mark | null {
  const text = process.env[NAME];
  const mark = text === undefined ? null : (JSON.parse(text) as Mark & { readonly pid: number });
  // An environment is inherited; a process is not.
  return mark?.pid === process.pid ? mark : null;
}

/** The same, and no process of this one's hears of it. */
export function takeMark(): Mark | null {
  const mark = readMark();
  delete process.env[NAME];
  return mark;
}

/** The environment for the next one. */
export function withMark(mark: Mark): NodeJS.ProcessEnv {
  return { ...process.env, [NAME]: JSON.stringify({ pid: process.pid, ...mark }) };
}
