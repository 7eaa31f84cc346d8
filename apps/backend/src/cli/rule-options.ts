/** Options of `oriel fs` whose values are rules: ids of users and groups, names of extended attributes. */
import { type IdRule, IdTranslation, PassthroughError, parseIdRule, parseXattrMap } from '@oriel/fs-passthrough';
import type { IdRange } from '../sandbox/sandbox-plan.ts';
import { CliError } from './cli-error.ts';
import { type Option, repeated } from './option.ts';

const MAX_ID = 0xffff_fffe;

/** What a package says of a value, as a person at the command line reads it. @throws CliError */
function explained<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PassthroughError)) throw error;
    throw new CliError(`--${name}: ${error.message.slice(error.code.length + 2)}`);
  }
}

/** Rules as `--translate-uid` has them; the option may be given several times. */
export function idRules(help: string): Option<readonly IdRule[]> {
  return repeated('TYPE:FROM:TO:COUNT', help, (name, given) => explained(name, () => parseIdRule(given)));
}

/** @throws CliError for rules that do not go together, or that speak of no id */
export function checkIdRules(name: string, rules: readonly IdRule[]): void {
  explained(name, () => new IdTranslation(rules));
}

/** Rules as `--xattrmap` has them; checked, and passed on as they are. */
export function xattrRules(help: string): Option<string | undefined> {
  return {
    placeholder: 'RULES',
    help,
    fallback: undefined,
    fallbackText: '',
    parse(name, given) {
      explained(name, () => parseXattrMap(given));
      return given;
    },
  };
}

/** @throws CliError */
function parseRange(name: string, given: string): IdRange {
  const fields = /^(.)(\d{1,10})\1(\d{1,10})\1(\d{1,10})\1$/.exec(given)?.slice(2).map(Number);
  const [inside, outside, count] = (fields ?? []) as [number?, number?, number?];
  if (inside === undefined || outside === undefined || count === undefined || count === 0) {
    throw new CliError(`--${name}=${given}: give :INSIDE:OUTSIDE:COUNT:, such as :0:100000:65536:`);
  }
  if (Math.max(inside, outside) + count - 1 > MAX_ID) {
    throw new CliError(`--${name}=${given}: ids end at ${MAX_ID}`);
  }
  return { inside, outside, count };
}

/** Lines of a user namespace's map, with any character for the colon; the option may be given several times. */
export function idRanges(help: string): Option<readonly IdRange[]> {
  return repeated(':INSIDE:OUTSIDE:COUNT:', help, parseRange);
}
