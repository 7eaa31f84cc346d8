/** User and group ids between guest and host, as virtiofsd's --translate-uid and --translate-gid have them. */
import { EPERM } from '@oriel/sys';
import { PassthroughError } from './errors.ts';

/**
 * What becomes of a range of ids. `guest` and `squash-guest` say what the guest's ids are on the host, one by one or all the same;
 * `host` and `squash-host` what the host's ids are in the guest; `map` is `guest` and `host` in one; ids of `forbid-guest` may not
 * be used by the guest. Ids of no range stay as they are.
 */
export type IdRuleType = 'guest' | 'host' | 'squash-guest' | 'squash-host' | 'forbid-guest' | 'map';

/** One rule; plain data. */
export interface IdRule {
  readonly type: IdRuleType;
  /** First id of the range, on the side that the type names (`map`: in the guest). */
  readonly from: number;
  /** First id, or the only one, on the other side; 0 for `forbid-guest`. */
  readonly to: number;
  readonly count: number;
}

const TYPES: readonly IdRuleType[] = ['guest', 'host', 'squash-guest', 'squash-host', 'forbid-guest', 'map'];
const IDS = 2 ** 32;

function idNumber(rule: string, text: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value < IDS)) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `id rule '${rule}': '${text}' is no id or count`);
  }
  return value;
}

/**
 * Reads TYPE:FROM:TO:COUNT, or forbid-guest:FROM:COUNT.
 * @throws PassthroughError ERR_PASSTHROUGH_OPTION, which names the rule
 */
export function parseIdRule(text: string): IdRule {
  const [word, ...fields] = text.split(':');
  const type = TYPES.find((known) => known === word);
  if (type === undefined) {
    const known = TYPES.join(', ');
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `id rule '${text}': '${word}' is none of ${known}`);
  }
  const forbids = type === 'forbid-guest';
  if (fields.length !== (forbids ? 2 : 3)) {
    const form = forbids ? `${type}:FROM:COUNT` : `${type}:FROM:TO:COUNT`;
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `id rule '${text}': give ${form}`);
  }
  const [from, to, count] = [fields[0]!, forbids ? '0' : fields[1]!, fields.at(-1)!].map((one) => idNumber(text, one));
  return { type, from: from!, to: to!, count: count! };
}

/** Ids [first, last], and what stands for them: `to` + (id - first), `to` for all, or nothing. */
interface Range {
  readonly first: number;
  readonly last: number;
  readonly to: number;
  readonly kind: 'shift' | 'squash' | 'forbid';
  readonly rule: string;
}

function rangeOf(rule: IdRule, kind: Range['kind'], first: number, to: number): Range {
  const { type, from, count } = rule;
  const text = type === 'forbid-guest' ? `${type}:${from}:${count}` : `${type}:${from}:${rule.to}:${count}`;
  if (count === 0 || first + count > IDS || (kind === 'shift' && to + count > IDS)) {
    throw new PassthroughError(
      'ERR_PASSTHROUGH_OPTION',
      `id rule '${text}': give at least one id, and all of them below 2^32`,
    );
  }
  return { first, last: first + count - 1, to, kind, rule: text };
}

/** @throws PassthroughError where two rules speak of the same id */
function add(ranges: Range[], range: Range): void {
  const other = ranges.find(({ first, last }) => range.first <= last && first <= range.last);
  if (other !== undefined) {
    const clash = `id rule '${range.rule}': '${other.rule}' speaks of the same ids`;
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', clash);
  }
  ranges.push(range);
}

/** Rules of one kind of id, users' or groups'. */
export class IdTranslation {
  readonly #toHost: Range[] = [];
  readonly #toGuest: Range[] = [];

  /** @throws PassthroughError ERR_PASSTHROUGH_OPTION, which names the rule */
  constructor(rules: readonly IdRule[]) {
    for (const rule of rules) {
      const { type, from, to } = rule;
      if (type === 'guest' || type === 'map') add(this.#toHost, rangeOf(rule, 'shift', from, to));
      if (type === 'squash-guest') add(this.#toHost, rangeOf(rule, 'squash', from, to));
      if (type === 'forbid-guest') add(this.#toHost, rangeOf(rule, 'forbid', from, 0));
      if (type === 'host') add(this.#toGuest, rangeOf(rule, 'shift', from, to));
      if (type === 'map') add(this.#toGuest, rangeOf(rule, 'shift', to, from));
      if (type === 'squash-host') add(this.#toGuest, rangeOf(rule, 'squash', from, to));
    }
  }

  /** @returns the host's id, or -EPERM for one that the guest may not use */
  toHost(id: number): number {
    return translate(this.#toHost, id);
  }

  /** The guest's id. */
  toGuest(id: number): number {
    return translate(this.#toGuest, id);
  }
}

function translate(ranges: readonly Range[], id: number): number {
  for (let index = 0; index < ranges.length; index++) {
    const { first, last, kind, to } = ranges[index]!;
    if (id >= first && id <= last) {
      return kind === 'shift' ? to + (id - first) : kind === 'squash' ? to : -EPERM;
    }
  }
  return id;
}
