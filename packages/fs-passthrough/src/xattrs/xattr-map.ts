/**
 * Rules by which names of extended attributes become others, or nothing, between guest and host: the language of virtiofsd's
 * --xattrmap. A rule is `:type:scope:key:prepend:` with any separator, white space between rules; `:map:key:prepend:` at the
 * end stands for several.
 */
import { EOPNOTSUPP, EPERM } from '@oriel/sys';
import { PassthroughError } from '../errors.ts';

/** `prefix` puts `prepend` before a name; `ok` leaves it; `bad` refuses it with EPERM; `unsupported` with EOPNOTSUPP. */
export type XattrRuleType = 'prefix' | 'ok' | 'bad' | 'unsupported';

/** One rule. */
export interface XattrRule {
  readonly type: XattrRuleType;
  /** Whose names it is for: the guest's (`client`), the host's (`server`), both. */
  readonly scope: 'client' | 'server' | 'all';
  /** What a guest's name begins with. */
  readonly key: string;
  /** What a host's name begins with, and what `prefix` adds. */
  readonly prepend: string;
}

const TYPES: readonly XattrRuleType[] = ['prefix', 'ok', 'bad', 'unsupported'];
const SCOPES: readonly XattrRule['scope'][] = ['client', 'server', 'all'];

function refuse(rule: number, why: string): never {
  throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `xattr rule ${rule}: ${why}`);
}

/** What `map` stands for: a name that has the prefix on the host is the guest's own, and no other way leads to it. */
function expandMap(key: string, prepend: string): XattrRule[] {
  const prefix: XattrRule = { type: 'prefix', scope: 'all', key, prepend };
  if (key === '') {
    return [prefix, { type: 'bad', scope: 'all', key: '', prepend: '' }];
  }
  return [
    prefix,
    { type: 'bad', scope: 'server', key: '', prepend: key },
    { type: 'bad', scope: 'client', key: prepend, prepend: '' },
    { type: 'ok', scope: 'all', key: '', prepend: '' },
  ];
}

/** Reads rules one after the other. */
class RuleReader {
  readonly rules: XattrRule[] = [];
  readonly #text: string;
  #at = 0;
  #number = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @returns false at the end */
  next(): boolean {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
    if (this.#at >= this.#text.length) return false;
    this.#number++;
    const separator = this.#text[this.#at++]!;
    const type = this.#field(separator, 'type');
    if (type === 'map') {
      const key = this.#field(separator, 'key');
      const prepend = this.#field(separator, 'prepend');
      if (this.#text.slice(this.#at).trim() !== '') refuse(this.#number, 'map must be the last one');
      if (prepend === '') refuse(this.#number, 'map without a prefix maps nothing');
      this.rules.push(...expandMap(key, prepend));
      return false;
    }
    const known =
      TYPES.find((one) => one === type) ?? refuse(this.#number, `'${type}' is none of ${TYPES.join(', ')}, map`);
    const word = this.#field(separator, 'scope');
    const scope =
      SCOPES.find((one) => one === word) ?? refuse(this.#number, `'${word}' is none of ${SCOPES.join(', ')}`);
    const key = this.#field(separator, 'key');
    this.rules.push({ type: known, scope, key, prepend: this.#field(separator, 'prepend') });
    return true;
  }

  #field(separator: string, what: string): string {
    const end = this.#text.indexOf(separator, this.#at);
    if (end < 0) refuse(this.#number, `its ${what} does not end in '${separator}'`);
    const field = this.#text.slice(this.#at, end);
    this.#at = end + separator.length;
    return field;
  }
}

/** @throws PassthroughError ERR_PASSTHROUGH_OPTION, which tells the rule by its number from 1 on */
export function parseXattrMap(text: string): readonly XattrRule[] {
  if (text.includes('\0')) refuse(1, 'no name has a NUL');
  const reader = new RuleReader(text);
  while (reader.next());
  if (reader.rules.length === 0) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', 'xattr rules: there is none');
  }
  // Names are compared as bytes, one character each.
  return reader.rules.map((rule) => ({ ...rule, key: bytesOf(rule.key), prepend: bytesOf(rule.prepend) }));
}

/** What the host calls an attribute of the guest; the first rule that fits counts. @returns -EPERM where none does */
export function hostName(rules: readonly XattrRule[], name: string): string | number {
  for (const { type, scope, key, prepend } of rules) {
    if (scope !== 'server' && name.startsWith(key)) {
      return type === 'prefix' ? prepend + name : type === 'ok' ? name : type === 'bad' ? -EPERM : -EOPNOTSUPP;
    }
  }
  return -EPERM;
}

/** What the guest calls an attribute of the host, or null: it sees none. */
export function guestName(rules: readonly XattrRule[], name: string): string | null {
  for (const { type, scope, prepend } of rules) {
    if (scope !== 'client' && name.startsWith(prepend)) {
      return type === 'prefix' ? name.slice(prepend.length) : type === 'ok' ? name : null;
    }
  }
  return null;
}

const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');
